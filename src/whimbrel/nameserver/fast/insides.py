"""What leans on the insides of Numba and llvmlite, and nothing else does.

`tests/nameserver/fast/test_insides.py` says in a line what broke when a new version moves them.
"""

import contextlib
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import config as numba_config
from numba.core import sigutils, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic, overload, register_jitable
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from whimbrel import wire

__all__ = [
    "WORD_BYTES", "bpf_object", "cache_folder", "carray", "compiled", "external", "fetch", "inlined", "kept",
    "put_word_at", "sections_of", "signed", "unsigned", "word_at",
]  # fmt: skip

_SOURCES = (
    Path(__file__).parent,
    Path(__file__).parents[1] / "guards",
    Path(wire.__file__).parent,
    Path(wire.__file__).parent / "snapshot",
)

WORD_BYTES = 8

# 32-bit operations and all comparisons: Linux 5.1.  Words may lie anywhere, as on x86-64 and 64-bit ARM; elsewhere the
# verifier refuses the program.
_BPF, _BPF_CPU, _BPF_FEATURES = "bpfel", "v3", "+allows-misaligned-mem-access"

_log = logging.getLogger(__name__)

Array = NDArray[Any]
_Inner = Any  # of Numba and llvmlite, which say no types
_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Part(JITCodeLibrary):
    """The code of a function that is only ever a part of others, for LLVM and not for a machine.

    Numba makes machine code of every function it meets, a third of the time that the answer takes to compile: for
    nothing, since what a function is a part of has its code.
    """

    @property
    def codegen(self) -> "_Part":
        return self  # it is asked for `set_env` alone

    def set_env(self, name: str, env: object) -> None:
        """Keep nothing: only machine code has a place for what its function needs of Python."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


class _PartCompiler(Compiler):
    def define_pipelines(self) -> object:
        part: Any = _Part  # Numba's own is without types
        self.state.library = part(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()  # type: ignore[no-untyped-call]


# Without the runtime system (`_nrt`) no reference is counted, so nothing is called: the kernel could not call it.
_INLINED: Any = {
    "forceinline": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True,
    "pipeline_class": _PartCompiler,
}  # fmt: skip


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Mark a function that compiled ones may call; it becomes part of them, and stays a plain function for Python."""
    marked: Callable[_P, _R] = register_jitable(**_INLINED)(function)
    return marked


@inlined
def signed(value: int) -> int:
    """Return a number as one of 64 bits with a sign; for Python it is any integer."""
    return np.int64(value)  # type: ignore[return-value]


@inlined
def unsigned(value: int) -> int:
    """Return a number as one of 64 bits without a sign."""
    return np.uint64(value)  # type: ignore[return-value]


def word_at(octets: Array, at: int) -> int:
    """Return eight octets as an unsigned number, the first the highest: one instruction or two, wherever they lie."""
    return np.uint64(int.from_bytes(octets[int(at) : int(at) + WORD_BYTES].tobytes()))  # type: ignore[return-value]


def put_word_at(octets: Array, at: int, word: int) -> None:
    """Set eight octets; `word` is unsigned."""
    octets[int(at) : int(at) + WORD_BYTES] = np.frombuffer(int(word).to_bytes(WORD_BYTES), np.uint8)


def fetch(array: Array, at: int) -> None:
    """Have the processor begin to fetch an element, an unsigned number's, without waiting; it need not be there."""


def _place(context: _Inner, builder: _Inner, kind: _Inner, octets: _Inner, at: _Inner) -> _Inner:
    """Return a pointer to the word at an offset."""
    data = context.make_array(kind)(context, builder, octets).data
    return builder.bitcast(builder.gep(data, [at]), ir.IntType(64).as_pointer())


@intrinsic
def _loaded(_: _Inner, octets: _Inner, at: _Inner) -> _Inner:
    def made(context: _Inner, builder: _Inner, signature: _Inner, values: _Inner) -> _Inner:
        return builder.bswap(builder.load(_place(context, builder, signature.args[0], *values), align=1))

    return types.uint64(octets, at), made


@intrinsic
def _stored(_: _Inner, octets: _Inner, at: _Inner, word: _Inner) -> _Inner:
    def made(context: _Inner, builder: _Inner, signature: _Inner, values: _Inner) -> _Inner:
        *array_and_place, number = values
        place = _place(context, builder, signature.args[0], *array_and_place)
        builder.store(builder.bswap(number), place, align=1)
        return context.get_dummy_value()

    return types.void(octets, at, word), made


@intrinsic
def _fetched(_: _Inner, array: _Inner, at: _Inner) -> _Inner:
    def made(context: _Inner, builder: _Inner, signature: _Inner, values: _Inner) -> _Inner:
        given, place = values
        element = builder.gep(context.make_array(signature.args[0])(context, builder, given).data, [place])
        address, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", (address,), ir.FunctionType(ir.VoidType(), [address, *[number] * 3])
        )
        # To be read, into the nearest cache, and it is data.
        builder.call(prefetch, [builder.bitcast(element, address), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, at), made


_loading: _Inner = _loaded  # Numba's types know nothing of the argument that it adds
_storing: _Inner = _stored
_fetching: _Inner = _fetched


# That the last octet is looked at is for builds that look at every index.
@overload(word_at, jit_options=_INLINED, strict=False)
def _word_at(*_: _Inner) -> Callable[[Array, int], int]:
    def load(octets: Array, at: int) -> int:
        octets[unsigned(at + unsigned(WORD_BYTES - 1))]
        word: int = _loading(octets, at)
        return word

    return load


@overload(put_word_at, jit_options=_INLINED, strict=False)
def _put_word_at(*_: _Inner) -> Callable[[Array, int, int], None]:
    def store(octets: Array, at: int, word: int) -> None:
        octets[unsigned(at + unsigned(WORD_BYTES - 1))]
        _storing(octets, at, word)

    return store


@overload(fetch, jit_options=_INLINED, strict=False)
def _fetch(*_: _Inner) -> Callable[[Array, int], None]:
    def begin(array: Array, at: int) -> None:
        _fetching(array, at)

    return begin


def compiled(function: Callable[_P, _R], *, checked: bool = False) -> Callable[_P, _R]:
    """Return a function compiled for this machine when first called, holding no lock of Python's while it runs.

    `checked` looks at every index, and raises where one is outside: for tests.
    """
    folder = cache_folder(checked=checked)
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


def cache_folder(*, checked: bool = False) -> Path | None:
    """Return where compiled code is kept for the next start, or None where no safe place is to be had.

    Whoever can write there runs code as the name server: so nobody but its owner may.  It is named by the source that
    was compiled, and by whether indices are looked at (NUMBA_BOUNDSCHECK: those of all functions), for Numba looks at
    the outermost function's file alone.
    """
    config: Any = numba_config
    sources = [path for folder in _SOURCES for path in sorted(folder.glob("*.py"))]
    build = f"{numba.__version__} {checked} {bool(config.BOUNDSCHECK)}"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + build.encode())
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


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """Return what is kept under a name in the cache folder; made, and kept if it can be, where nothing is."""
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / name
    with contextlib.suppress(OSError):
        return path.read_bytes()
    content = make()
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=folder) as fresh:
        whole = Path(fresh) / name  # nobody reads half of it
        whole.write_bytes(content)
        whole.replace(path)
    return content


def bpf_object(function: Callable[..., int], signature: str, entry: str) -> bytes:
    """Return an object file for the kernel: `entry`, LLVM's IR, which calls `function` as @respond.

    Numba's function becomes part of the entry, and nothing else of what Numba makes is left.  Its C form has the
    arguments of `signature` (Numba's notation), behind a place for the result and an unused one; it returns 0.
    """
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(_BPF).create_target_machine(cpu=_BPF_CPU, features=_BPF_FEATURES, opt=3)
    written = numba.cfunc(signature, error_model="numpy")(function).inspect_llvm()
    module = llvm.parse_assembly(written)
    module.triple, module.data_layout = _BPF, str(machine.target_data)
    inner = [each for each in module.functions if not each.is_declaration and each.name.startswith("_ZN")]
    if len(inner) != 1:
        raise RuntimeError(
            f"Numba {numba.__version__} makes {len(inner)} functions of one for C, not 1: see insides.py"
        )
    inner[0].name = "respond"
    inner[0].linkage = "external"
    inner[0].add_function_attribute("alwaysinline")
    module.link_in(llvm.parse_assembly(f'target triple = "{_BPF}"\n{entry}'))
    for each in module.functions:
        if not each.is_declaration and each.name != "entry":
            each.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    called = set(re.findall(r"call [^\n]*?@([\w.$]+)\(", str(module)))
    if foreign := sorted(name for name in called if not name.startswith("llvm.")):
        raise RuntimeError(f"Numba {numba.__version__} calls what the kernel does not have: {', '.join(foreign)}")
    made: bytes = machine.emit_object(module)
    return made


def sections_of(object_file: bytes) -> dict[str, bytes]:
    """Return the sections of an object file by name."""
    file = llvm.ObjectFileRef.from_data(object_file)
    return {each.name().decode(): each.data() for each in file.sections() if each.name()}
