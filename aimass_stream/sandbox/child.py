"""The far side of the sandbox: a script of the standard library only, run as ``python -I child.py LIMITS``.

    server ─> supervisor ─> (first process of a namespace) ─> worker

The supervisor runs nothing of what it was given: it waits, passes on how the worker ended, and leaves no
process behind. Where namespaces can be had, the worker lives in its own of users, processes and networks:
when the first process in there ends, the kernel ends all others. A system-call filter forbids sockets besides,
and stands alone where namespaces are not allowed (in most containers). With neither, nothing is run.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

CANNOT_ISOLATE = 254  # exit status
SIGNALLED = 128  # and the signal's number, as shells do

# <linux/sched.h>, <linux/prctl.h>, <linux/seccomp.h>, <linux/filter.h>, <linux/capability.h>
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 36, 38
SECCOMP_MODE_FILTER, RET_KILL, RET_ERRNO, RET_ALLOW = 2, 0x80000000, 0x00050000, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
EPERM, X32_CALLS, IO_URING_SETUP = 1, 0x40000000, 425
ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # its audit number, its socket()
BACKGROUND = 10  # niceness of what nobody waits for
CAPABILITY_VERSION, CAPABILITIES = 0x20080522, 64


def main() -> None:
    limits = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    be_nice(limits["niceness"])
    spaces = False
    if not limits["network"]:
        spaces = limits["namespaces"] and _unshare(libc)
        filtered = limits["filter"] and _forbid_sockets(libc)
        if not spaces and not filtered:
            os.write(2, b"neither namespaces nor system-call filters can be had here")
            os._exit(CANNOT_ISOLATE)
        os.environ["AIMASS_SANDBOX"] = "+".join(["namespaces"] * spaces + ["seccomp"] * filtered)
    _fork_worker(libc, spaces, limits["server"])
    _limit(limits, spaces)
    if len(sys.argv) > 2:
        os.execvp(sys.argv[2], sys.argv[2:])
    _call()


def be_nice(niceness: int) -> None:
    """Come after others: in the background also as a session of our own, for where the kernel shares the processor
    out by sessions (`sched_autogroup_enabled`), niceness counts within one only. A session is as much nicer than the
    server's as the work than the server: with the server's own niceness in it, it would come after all others' work."""
    os.nice(niceness)
    if niceness >= BACKGROUND and os.getsid(0) == os.getpid():
        try:
            with open(f"/proc/{os.getppid()}/autogroup", encoding="ascii") as file:
                theirs = int(file.read().split()[-1])
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write(str(max(-20, min(19, theirs + niceness))))
        except (OSError, ValueError, IndexError):
            return  # it does not, or not for us


def _unshare(libc: Any) -> bool:
    """Namespaces of our own: with one of users where that is allowed, else with the rights of root."""
    kinds = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC
    return bool(libc.unshare(CLONE_NEWUSER | kinds) == 0 or libc.unshare(kinds) == 0)


def _forbid_sockets(libc: Any) -> bool:
    """A filter for this process and all it starts: socket(2) and io_uring fail with EPERM."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return False
    architecture, socket_call = ARCHITECTURES[machine]
    program = [
        (LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, RET_KILL),
        (LOAD, 0, 0, 0), (AT_LEAST, 2, 0, X32_CALLS), (EQUAL, 1, 0, socket_call), (EQUAL, 0, 1, IO_URING_SETUP),
        (RETURN, 0, 0, RET_ERRNO | EPERM), (RETURN, 0, 0, RET_ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0) == 0)


def _fork_worker(libc: Any, spaces: bool, server: int, become: Callable[[], object] = bool) -> None:
    """Returns in the worker only, which does `become` before it gives up what rights it has."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # if the server dies; new namespaces would clear it
    if os.getppid() != server:  # it has died already
        os._exit(1)
    child = os.fork()
    if child:
        _supervise(child)
    if spaces:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        worker = os.fork()
        if worker:
            _exit_like(_wait_for(worker))
    become()
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.capset(ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION, 0)), ctypes.create_string_buffer(24))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _supervise(child: int) -> NoReturn:
    """SIGTERM ends the child and with it all that it started."""

    def end(_: int, __: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    status = _wait_for(child)
    while orphans := _children():  # what the worker started and left, where there is no namespace to end it
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
            os.waitpid(orphan, 0)
    _exit_like(status)


def _children() -> list[int]:
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []


def _wait_for(child: int) -> int:
    """The status of this child; others that end meanwhile are only cleared away."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _exit_like(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else SIGNALLED - code)


def _limit(limits: dict[str, Any], spaces: bool) -> None:
    cpu = limits["cpu_seconds"]  # at the soft limit comes a signal that tells what happened, at the hard one SIGKILL
    wanted = {resource.RLIMIT_CPU: (cpu, cpu + 1), resource.RLIMIT_CORE: (0, 0)}
    for kind, name in ((resource.RLIMIT_AS, "memory_bytes"), (resource.RLIMIT_FSIZE, "file_bytes"),
                       (resource.RLIMIT_NOFILE, "open_files")):
        wanted[kind] = (limits[name], limits[name])
    for kind, (soft, hard) in wanted.items():
        most = resource.getrlimit(kind)[1]  # ours may be limited already, and limits can only be lowered
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))
    if spaces:  # elsewhere this would count the server's own threads
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"], limits["processes"]))


def _call() -> NoReturn:
    """Run the function that stdin names; what it answers or yields goes to what was stdout, its prints to stderr."""
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(0, "rb", closefd=False) as stdin:
            path, work = pickle.load(stdin)
        sys.path[:] = path  # before the arguments are unpickled, which imports what they are made of
        module, name, arguments, named = pickle.loads(work)
        function: Any = __import__(module, fromlist=[""])
        for part in name.split("."):
            function = getattr(function, part)
        result = function(*arguments, **named)
        if hasattr(result, "__next__"):
            _hand_out(answer, result)
            result = None
        body = b"b" + result if isinstance(result, bytes) else b"j" + json.dumps(result).encode()
    except MemoryError:
        body = b"m"
    except BaseException as error:
        import traceback

        told = {"exception": type(error).__name__, "detail": str(error)[:2000], "field": getattr(error, "field", None),
                "traceback": traceback.format_exc()[-4000:]}
        body = b"e" + json.dumps(told).encode()
    sys.stdout.flush()
    _write(answer, body)
    os._exit(0)


def _hand_out(answer: int, pieces: Any) -> None:
    """What a generator yields: each piece with its length before it. The server reads at its own pace."""
    for piece in pieces:
        _write(answer, b"p" + len(piece).to_bytes(4, "little") + piece)


def _write(answer: int, body: bytes) -> None:
    view = memoryview(body)
    while view:
        view = view[os.write(answer, view) :]


if __name__ == "__main__":
    main()
