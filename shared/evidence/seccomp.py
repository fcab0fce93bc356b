"""Takes from this process every system call that decoding does not need (Linux, seccomp-BPF; see seccomp(2)).

What is left: memory that cannot be executed, threads, clocks, reading and writing what is open. Everything else fails
as if it were forbidden (EPERM): files, sockets, programs, signals to others, namespaces, tracing. Known for x86-64 and
64-bit Arm; elsewhere, and where a kernel was built without it, nothing happens and :func:`forbid` says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform

import msgspec


class _Machine(msgspec.Struct, frozen=True):
    """What the kernel calls an architecture (``linux/audit.h``), and its numbers of the calls that are left."""

    audit: int
    free: tuple[int, ...]
    clone: int
    tgkill: int
    executable: tuple[int, ...]
    """Those that make memory: refused with ``PROT_EXEC``."""


_X86_64 = _Machine(
    audit=0xC000003E,
    # read write close fstat poll lseek munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield mremap madvise
    # nanosleep getpid sendto recvfrom exit gettimeofday sysinfo sigaltstack gettid futex sched_getaffinity
    # set_tid_address restart_syscall clock_gettime clock_getres clock_nanosleep exit_group ppoll set_robust_list
    # getrandom membarrier rseq
    free=(
        0, 1, 3, 5, 7, 8, 11, 12, 13, 14, 15, 24, 25, 28, 35, 39, 44, 45, 60, 96, 99, 131, 186, 202, 204, 218, 219, 228,
        229, 230, 231, 271, 273, 318, 324, 334,
    ),
    clone=56,
    tgkill=234,
    executable=(9, 10),  # mmap mprotect
)  # fmt: skip
_AARCH64 = _Machine(
    audit=0xC00000B7,
    # the same, but for poll, which Arm never had
    free=(
        63, 64, 57, 80, 62, 215, 214, 134, 135, 139, 124, 216, 233, 101, 172, 206, 207, 93, 169, 179, 132, 178, 98, 123,
        96, 128, 113, 114, 115, 94, 73, 99, 278, 283, 293,
    ),
    clone=220,
    tgkill=131,
    executable=(222, 226),
)  # fmt: skip
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_PROT_EXEC = 4

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def forbid() -> bool:
    """Forbid this thread, and those that it will start, all that decoding does not need, for good.

    False where this kernel or machine cannot.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or os.uname().sysname != "Linux":
        return False
    rows = _rules(machine, os.getpid())
    program = _Program(len(rows), (_Instruction * len(rows))(*(_Instruction(*row) for row in rows)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return not prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program))


def _rules(machine: _Machine, pid: int) -> list[tuple[int, int, int, int]]:
    """The filter as rows of (code, jump if so, jump if not, value)."""
    rows = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, machine.audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    for number in machine.free:
        rows += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # The C library takes this for an old kernel and asks for clone, whose flags can be looked at.
    rows += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
    rows += _if(machine.clone, 0, _ANY_BIT, _CLONE_THREAD, then=_ALLOW, otherwise=_FAIL | errno.EPERM)
    rows += _if(machine.tgkill, 0, _EQUAL, pid, then=_ALLOW, otherwise=_FAIL | errno.EPERM)
    for number in machine.executable:
        rows += _if(number, 2, _ANY_BIT, _PROT_EXEC, then=_FAIL | errno.EPERM, otherwise=_ALLOW)
    return [*rows, (_RETURN, 0, 0, _FAIL | errno.EPERM)]


def _if(
    number: int, argument: int, test: int, value: int, *, then: int, otherwise: int
) -> list[tuple[int, int, int, int]]:
    """Of one call: the answer by the lower half of one of its arguments."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
        (test, 0, 1, value),
        (_RETURN, 0, 0, then),
        (_RETURN, 0, 0, otherwise),
    ]
