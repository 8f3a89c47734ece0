"""What leans on the insides of Numba and llvmlite, and nothing else does.

`tests/nameserver/fast/test_insides.py` says in a line what broke when a new version moves them.
"""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numba.core import config as numba_config
from numba.core import sigutils, types
from numba.extending import register_jitable

from whimbrel import wire

_SOURCES = (
    Path(__file__).parent,
    Path(__file__).parents[1] / "guards",
    Path(wire.__file__).parent,
    Path(wire.__file__).parent / "snapshot",
)

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Mark a function that compiled ones may call; it becomes part of them, and stays a plain function for Python.

    Without the runtime system (`_nrt`) no reference is counted, so nothing is called: the kernel could not call it.
    """
    marked: Callable[_P, _R] = register_jitable(forceinline=True, error_model="numpy", _nrt=False)(function)
    return marked


@inlined
def signed(value: int) -> int:
    """Return a number as one of 64 bits with a sign; for Python it is any integer."""
    return np.int64(value)  # type: ignore[return-value]


@inlined
def unsigned(value: int) -> int:
    """Return a number as one of 64 bits without a sign."""
    return np.uint64(value)  # type: ignore[return-value]


def compiled(function: Callable[_P, _R], *, checked: bool = False) -> Callable[_P, _R]:
    """Return a function compiled for this machine when first called, holding no lock of Python's while it runs.

    `checked` looks at every index, and raises where one is outside: for tests.
    """
    folder = None if checked else cache_folder()
    config: Any = numba_config  # its settings are made when it is loaded
    before = config.CACHE_DIR
    if folder is not None:
        config.CACHE_DIR = str(folder)  # read when the next line runs, and never again
    try:
        built: Callable[_P, _R] = numba.njit(  # type: ignore[call-overload]  # Numba's types know no `_nrt`
            nogil=True, error_model="numpy", _nrt=False, boundscheck=checked, cache=folder is not None
        )(function)
    finally:
        config.CACHE_DIR = before
    return built


def external(name: str, signature: str) -> Callable[..., int]:
    """Return a function of the C library that compiled functions may call; `signature` in Numba's notation."""
    arguments, returned = sigutils.normalize_signature(signature)  # type: ignore[no-untyped-call]
    function: Callable[..., int] = types.ExternalFunction(name, returned(*arguments))
    return function


def cache_folder() -> Path | None:
    """Return where compiled code is kept for the next start, or None where no safe place is to be had.

    Whoever can write there runs code as the name server: so nobody but its owner may.  It is named by the source that
    was compiled, for Numba looks at the outermost function's file alone.
    """
    sources = [path for folder in _SOURCES for path in sorted(folder.glob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + numba.__version__.encode())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whimbrel" / "compiled"
    folder = base / digest.hexdigest()[:16]
    try:
        for each in (base.parent, base, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = each.stat()
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                _log.warning("%s can be written by others; the answers are compiled anew at each start", each)
                return None
    except OSError as error:
        _log.warning("%s: %s; the answers are compiled anew at each start", folder, error.strerror)
        return None
    return folder
