"""The system call bpf(2), as far as the kernel's build needs it: maps, programs, and running one on a frame.

No library: `include/uapi/linux/bpf.h` is all that is leant on.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

_CALL = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _PROG_LOAD, _PROG_TEST_RUN = 0, 5, 10
_ARRAY, _PERCPU_ARRAY = 2, 6
_MMAPABLE = 1 << 10
_XDP = 6
_LOG_BYTES = 1 << 20
_LOG_FIGURES = 4  # the log level that prints what the verifier took, and nothing else
_LICENSE = b"GPL"  # what the kernel asks for of programs that read its clock

INSTRUCTION = struct.Struct("<BBhi")  # operation, registers, offset, constant
_LOAD_CONSTANT = 0x18  # of 64 bits, in two instructions
_MAP, _MAP_VALUE = 1, 2  # what its second register says that constant is
_SYMBOL = struct.Struct("<IBBHQQ")  # ELF-64: name, info, other, section, value, size
_RELOCATION = struct.Struct("<QQ")

PASS, SEND = 2, 3  # XDP_PASS: the packet goes on as if nothing were; XDP_TX: it goes out where it came in


class Ran(NamedTuple):
    """What a program did with a frame: its verdict, the frame, and how long it took on average."""

    verdict: int
    frame: bytes
    nanoseconds: int


def create_map(value_bytes: int, *, per_cpu: bool = False) -> int:
    """Return the descriptor of a map of one value; it can be mapped into memory unless each CPU has its own.

    Raise OSError where the kernel refuses.
    """
    kind, flags = (_PERCPU_ARRAY, 0) if per_cpu else (_ARRAY, _MMAPABLE)
    return _bpf(_MAP_CREATE, struct.pack("<5I", kind, 4, value_bytes, 1, flags))


def load_program(code: bytes) -> tuple[int, str]:
    """Return the descriptor of an XDP program, and what the verifier says of it; raise OSError where it refuses."""
    count = len(code) // INSTRUCTION.size
    text, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(_LICENSE)
    log = ctypes.create_string_buffer(_LOG_BYTES)
    where = [ctypes.addressof(each) for each in (text, license_, log)]

    def load(level: int) -> int:
        at, size = (where[2], len(log)) if level else (0, 0)
        return _bpf(_PROG_LOAD, struct.pack("<IIQQIIQ", _XDP, count, where[0], where[1], level, size, at))

    try:
        return load(_LOG_FIGURES), log.value.decode().strip()
    except OSError as error:
        if error.errno == errno.EPERM:
            raise
        reason = log.value.decode(errors="replace").strip().splitlines() or [""]
        raise OSError(error.errno, f"the kernel's verifier refuses the program: {reason[0]}") from error


def run_program(program: int, frame: bytes, repeat: int = 1) -> Ran:
    """Run a program on a frame (BPF_PROG_TEST_RUN); with `repeat` each round sees what the one before has left."""
    given, taken = ctypes.create_string_buffer(frame, len(frame)), ctypes.create_string_buffer(4096)
    asked = struct.pack(
        "<IIIIQQII", program, 0, len(frame), len(taken), ctypes.addressof(given), ctypes.addressof(taken), repeat, 0
    )
    attributes = ctypes.create_string_buffer(asked, 128)
    _call(_PROG_TEST_RUN, attributes)
    _, verdict, _, size, _, _, _, nanoseconds = struct.unpack_from("<IIIIQQII", attributes)
    return Ran(verdict, taken.raw[:size], nanoseconds)


def placed(sections: Mapping[str, bytes], section: str, maps: Mapping[str, int]) -> bytes:
    """Return a section's code of an object file (ELF-64) with the descriptors of `maps` where it names them.

    A map that each CPU has for itself is named with the prefix `cpu_`: the code asks for its value; any other's is at
    hand.
    """
    code = bytearray(sections[section])
    names, symbols = sections[".strtab"], sections[".symtab"]
    for at, info in _RELOCATION.iter_unpack(sections.get(f".rel{section}", b"")):
        name_at = _SYMBOL.unpack_from(symbols, (info >> 32) * _SYMBOL.size)[0]
        name = names[name_at : names.index(b"\0", name_at)].decode()
        operation, registers, offset, inside = INSTRUCTION.unpack_from(code, at)
        if operation != _LOAD_CONSTANT or name not in maps:
            raise ValueError(f"the object file asks for {name!r}, which the kernel does not have")
        what = _MAP if name.startswith("cpu_") else _MAP_VALUE
        INSTRUCTION.pack_into(code, at, operation, registers & 0xF | what << 4, offset, maps[name])
        INSTRUCTION.pack_into(code, at + INSTRUCTION.size, 0, 0, 0, inside)
    return bytes(code)


def _bpf(command: int, attributes: bytes) -> int:
    return _call(command, ctypes.create_string_buffer(attributes, 128))


def _call(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    number, syscall = _system_call()
    returned: int = syscall(number, command, attributes, len(attributes))
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf(2): {os.strerror(number)}")
    return returned


@cache
def _system_call() -> tuple[int, Callable[..., int]]:
    """Return bpf(2)'s number, and what makes system calls; raise OSError where there is none."""
    number = _CALL.get(platform.machine())
    if number is None or not hasattr(os, "sched_getaffinity"):
        raise OSError(f"no bpf(2) for {platform.system()} on {platform.machine()}")
    return number, ctypes.CDLL(None, use_errno=True).syscall
