"""Confines this process before it opens a document. Called by a worker on itself, once, at its start.

What holds on Linux, for the worker and the programs that it starts:
- limits on address space, written files, open files and core dumps, and on processor time a page;
- the end of the parent ends the worker, whatever it is doing;
- no file is written, made or removed, where the kernel has Landlock (5.13 or later);
- no network, where the kernel lets a process leave its network namespace (as root, or where unprivileged user
  namespaces are allowed); otherwise Landlock (kernel 6.7 or later) still refuses TCP.
Files that this user may read can be read.
"""

import ctypes
import fcntl
import os
import resource
import signal
import struct
from dataclasses import dataclass

from ingest.limits import Limits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_F_SETSIG = 10
_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on every architecture
_LANDLOCK_VERSION = 1
_LANDLOCK_WRITES = 0b1_1111_1111_0010  # write, remove and make: all of version 1 but execute and read
_LANDLOCK_TCP = 0b11  # bind and connect


@dataclass(frozen=True, slots=True)
class Confinement:
    """What this kernel allowed beyond the plain limits: no network at all, and no writing to files."""

    offline: bool
    read_only: bool


def confine(limits: Limits) -> Confinement:
    """Apply the limits to this process and its children, and tell which of the others hold."""
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.max_output_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.max_open_files)
    _limit(resource.RLIMIT_CORE, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    offline = any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return Confinement(offline, _read_only(libc))


def _read_only(libc: ctypes.CDLL) -> bool:
    """Give up writing files, and TCP where the kernel can refuse it, by a Landlock rule set without rules."""
    version = libc.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    handled = struct.pack("QQ", _LANDLOCK_WRITES, _LANDLOCK_TCP if version >= 4 else 0)
    rules = libc.syscall(_LANDLOCK_CREATE, handled, len(handled) if version >= 4 else 8, 0)
    if rules < 0:
        return False
    done = libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def die_with(lifeline: int) -> None:
    """Let the kernel kill this process as soon as the parent's end of the pipe `lifeline` closes.

    The usual parent-death signal fires when the *thread* that started the process ends, and a polling
    thread would wait while a C library holds the interpreter; a signal from a pipe has neither flaw.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    try:
        gone = os.read(lifeline, 1) == b""
    except BlockingIOError:
        gone = False
    if gone:
        os.kill(os.getpid(), signal.SIGKILL)


def allow_cpu(seconds: float) -> None:
    """Let this process use so many more seconds of processor time; then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
