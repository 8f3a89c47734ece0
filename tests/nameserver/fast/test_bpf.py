"""Object files placed among maps; what the kernel refuses, in a line."""

import os
from itertools import pairwise

import pytest
from tests.nameserver.fast.test_kernel import REASON

from whimbrel.nameserver.fast import bpf
from whimbrel.nameserver.fast.insides import bpf_object, sections_of

_ENTRY = """
@cpu_one = external global [8 x i8], section ".maps"
@two = external global [8 x i8], section ".maps"
declare i32 @respond(ptr, ptr, ptr, ptr)
define i32 @entry(ptr %context) section "xdp" {
  %status = call i32 @respond(ptr %context, ptr null, ptr @cpu_one, ptr @two)
  ret i32 %status
}
"""

needs_bpf = pytest.mark.skipif(REASON is not None, reason=REASON or "")


@pytest.fixture(scope="module")
def sections() -> dict[str, bytes]:
    def function(one: int, two: int) -> int:
        return one + two

    return sections_of(bpf_object(function, "int32(uintp, uintp)", _ENTRY))


def test_maps_are_put_in_place(sections: dict[str, bytes]) -> None:
    code = list(bpf.INSTRUCTION.iter_unpack(bpf.placed(sections, "xdp", {"cpu_one": 71, "two": 72})))
    loads = {first[3]: (first[1] >> 4, then[3]) for first, then in pairwise(code) if first[0] == 0x18}
    assert loads == {71: (1, 0), 72: (2, 0)}  # the map itself; its value


def test_an_unknown_map_is_named(sections: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="'two', which the kernel does not have"):
        bpf.placed(sections, "xdp", {"cpu_one": 71})


@needs_bpf
def test_a_program_that_the_verifier_refuses() -> None:
    with pytest.raises(OSError, match=r"the kernel's verifier refuses the program: .*R0"):
        bpf.load_program(bytes.fromhex("9500000000000000"))  # the end, and nothing returned


@needs_bpf
def test_a_program_is_run_on_a_frame() -> None:
    program, verified = bpf.load_program(bytes.fromhex("b4000000020000009500000000000000"))
    assert "processed 2 insns" in verified
    ran = bpf.run_program(program, bytes(range(60)), 3)
    assert (ran.verdict, ran.frame) == (bpf.PASS, bytes(range(60)))
    os.close(program)
