"""What new versions of Numba and llvmlite may move: each failure says in a line what broke."""

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import types
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from whimbrel.nameserver.fast import insides

_ENTRY = """
declare i32 @respond(ptr, ptr, i64)
define i32 @entry(ptr %context) section "xdp" {
  %result = alloca i32
  %status = call i32 @respond(ptr %result, ptr null, i64 21)
  %answer = load i32, ptr %result
  ret i32 %answer
}
"""


def test_what_is_inlined_stays_a_function_of_python() -> None:
    assert insides.unsigned(5) == 5
    assert insides.inlined(abs)(-2) == 2, "register_jitable no longer returns the function"


def test_a_part_is_in_the_machine_code_of_what_calls_it_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # what is read from there has no symbols

    @insides.inlined
    def doubled(number: int) -> int:
        return 2 * number

    def calling(number: int) -> int:
        return doubled(number) + 1

    assert insides.compiled(calling)(4) == 9
    symbols = cpu_target.target_context.codegen()._engine._defined_symbols
    functions = [each for each in symbols if "NumbaEnv" not in each]  # places for what functions need of Python
    assert any("calling" in each for each in functions)
    assert not any("doubled" in each for each in functions), "pipeline_class no longer reaches what is inlined"


def test_a_compiled_function_cannot_allocate() -> None:
    def fresh() -> int:
        return len(np.zeros(3))

    # Without the runtime system nothing is allocated and no reference counted: the option _nrt still says so.
    with pytest.raises(TypingError, match="Only accept returning of array passed into the function as argument"):
        insides.compiled(fresh, checked=True)()


def test_the_cache_folder_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = insides.cache_folder()
    assert folder is not None

    built = insides.compiled(_seven)
    assert built() == 7
    assert list(folder.rglob("*.nbi")), "Numba no longer reads its CACHE_DIR when a function is decorated"


def test_what_is_made_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def made_again() -> bytes:
        raise AssertionError

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert insides.kept("some.o", lambda: b"code") == b"code"
    assert insides.kept("some.o", made_again) == b"code"
    folder = insides.cache_folder()
    assert folder is not None
    assert [each.name for each in folder.iterdir()] == ["some.o"]
    folder.chmod(0o777)
    assert insides.kept("some.o", lambda: b"new code") == b"new code"


def test_a_checked_build_is_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Numba's own key does not tell them apart: one would be taken for the other."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    numbers = np.arange(4)[:3]  # what is read outside is ours
    with pytest.raises(IndexError):
        insides.compiled(_element, checked=True)(numbers, insides.unsigned(3))
    insides.compiled(_element)(numbers, insides.unsigned(3))
    usual, checked = insides.cache_folder(), insides.cache_folder(checked=True)
    monkeypatch.setattr(numba.core.config, "BOUNDSCHECK", 1)
    assert len({usual, checked, insides.cache_folder(), insides.cache_folder(checked=True)}) == 4


def _seven() -> int:
    return 7


def _element(numbers: NDArray[np.int64], at: int) -> int:
    number: int = numbers[at]
    return number


def test_words_of_python_and_of_the_machine_are_the_same() -> None:
    octets = np.arange(1, 33, dtype=np.uint8)
    compiled = insides.compiled(_moved)
    for at in range(20):
        theirs, ours = octets.copy(), octets.copy()
        assert compiled(theirs, insides.unsigned(at)) == _moved(ours, insides.unsigned(at))
        assert theirs.tobytes() == ours.tobytes() != octets.tobytes()


@pytest.mark.parametrize("at", [3, 4])
def test_a_checked_build_looks_at_the_end_of_a_word(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.config, "BOUNDSCHECK", 1)
    with pytest.raises(IndexError):
        insides.compiled(_moved, checked=True)(np.zeros(32, np.uint8)[: 7 + at], insides.unsigned(at))


def test_what_is_fetched_need_not_be_there() -> None:
    compiled: Any = insides.compiled(_first_of)
    numbers = np.arange(3, 6)
    for at in (0, 2, 1 << 40):
        assert compiled(numbers, insides.unsigned(at)) == _first_of(numbers, at) == 3
    (code,) = compiled.inspect_llvm().values()
    assert "call void @llvm.prefetch" in code, "the intrinsic is no longer an instruction"


def _first_of(numbers: NDArray[np.int64], at: int) -> int:
    insides.fetch(numbers, at)
    number: int = numbers[insides.unsigned(0)]
    return number


def _moved(octets: NDArray[np.uint8], at: int) -> int:
    """Put a word four octets further on."""
    word = insides.word_at(octets, at)
    insides.put_word_at(octets, insides.unsigned(at + insides.unsigned(4)), word)
    return word


def test_an_external_function_is_called() -> None:
    getppid = insides.external("getppid", "int32()")

    @insides.compiled
    def parent() -> int:
        return getppid()

    assert parent() > 0, "types.ExternalFunction no longer finds functions of the C library"


def test_numba_knows_pointers_in_signatures() -> None:
    arguments, _ = numba.core.sigutils.normalize_signature("int32(CPointer(uint8), int64)")  # type: ignore[no-untyped-call]
    assert arguments == (types.CPointer(types.uint8), types.int64), "CPointer(...) no longer stands in signatures"  # type: ignore[no-untyped-call]


def test_a_function_becomes_part_of_its_entry() -> None:
    sections = insides.sections_of(insides.bpf_object(lambda number: 2 * number, "int32(int64)", _ENTRY))
    # 42 in a register, and the end: Numba's inner function found, inlined, and nothing of Numba's left around it.
    assert sections["xdp"].hex() == "b40000002a0000009500000000000000", "the IR is not as insides.py expects it"
    assert not sections.get(".relxdp")


def test_what_the_kernel_does_not_have_is_named() -> None:
    getppid = insides.external("getppid", "int32()")
    with pytest.raises(RuntimeError, match="calls what the kernel does not have: getppid"):
        insides.bpf_object(lambda number: number + getppid(), "int32(int64)", _ENTRY)
