"""What is set up for a whole process before its engines are loaded: a quick start, memory that is given back."""

import importlib.abc
import sys
from collections.abc import MutableMapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

# These work by Ibis, which goes by way of pandas.
_USE_PANDAS = frozenset({"link", "links"})


class _NoPandas(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return None


def decline_pandas(command: str) -> None:
    """Let Arrow go without pandas in this process, where the command has loaded Arrow and does not need pandas.

    Arrow loads pandas with its first array if it can find it, which is a third of the time that a command takes to
    start, and then uses it for nothing here.  It looks only once, so it is shown none while it looks.
    """
    if command in _USE_PANDAS or "pandas" in sys.modules or "pyarrow" not in sys.modules:
        return
    blind = _NoPandas()
    sys.meta_path.insert(0, blind)
    try:
        sys.modules["pyarrow"].array([])
    finally:
        sys.meta_path.remove(blind)


def start_no_threads_for_algebra(environ: MutableMapping[str, str]) -> None:
    """Let NumPy's linear algebra (OpenBLAS) have no threads; before NumPy is loaded.

    It starts one a core but one as it is loaded, and each looks for work for 30 ms or more of processor time before it
    sleeps, in every process; nothing here multiplies matrices.  What the environment says already stays.
    """
    environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def take_memory_from_the_c_library(environ: MutableMapping[str, str]) -> None:
    """Let Arrow take its memory from the C library, for a process that runs for long; before Arrow is loaded.

    Its own allocator (mimalloc) keeps what a merge or an analysis needed for a moment, releases little of it when
    asked to, and needs more each time: after 15,000 messages 70 MB of which Arrow itself used nothing.  The C library
    gives it back (`release_unused` is then glibc's `malloc_trim`).  What the environment says already stays.
    """
    environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
