"""Runs a program that cannot hear of the machine's network interfaces coming and going.

Chromium drops every open connection (ERR_NETWORK_CHANGED) when an interface appears: when a neighbouring run starts its
stack, an order being placed here would fail. It learns of interfaces by a netlink socket, and where it cannot open one
it takes the network as it is (net/base/address_tracker_linux.cc, AbortAndForceOnline). A seccomp filter refuses just
that one kind of socket. Started as a program: `python deaf.py chromium …`; imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""machine → (AUDIT_ARCH of seccomp.h, number of socket(2))"""
_AF_NETLINK = 16
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def filter_program(architecture: int, socket_call: int) -> bytes:
    """BPF: `socket(AF_NETLINK, …)` fails with EAFNOSUPPORT, everything else is allowed."""
    program = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, 16),  # seccomp_data.args[0], its lower half
        (_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def refuse_netlink() -> bool:
    """Install the filter for this process and all it starts. False where the kernel or the machine does not offer it."""
    known = _SOCKET.get(platform.machine())
    if known is None or sys.platform != "linux":
        return False
    program = filter_program(*known)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0)


if __name__ == "__main__":
    refuse_netlink()  # without it Chromium runs all the same; a changed network is then recognised and not judged
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted
