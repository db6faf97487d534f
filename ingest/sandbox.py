"""Confines this process before it opens a document. Called by a worker on itself, once, at its start.

What holds on Linux: limits on address space, written files, open files and core dumps; processor time a
page; no network where the kernel lets a process leave its network namespace (as root, or where unprivileged
user namespaces are allowed); the end of the parent ends the worker, whatever it is doing.
"""

import ctypes
import fcntl
import os
import resource
import signal

from ingest.limits import Limits

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_F_SETSIG = 10
_PR_SET_NO_NEW_PRIVS = 38


def confine(limits: Limits) -> bool:
    """Apply the limits to this process and its children; True when it also lost the network."""
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.max_output_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.max_open_files)
    _limit(resource.RLIMIT_CORE, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET))


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
