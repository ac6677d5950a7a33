"""The far side of a cell: a script of the standard library only, run as ``python -I -B -S cell.py TOLD``.

As `child.py`, and besides: a user of its own, and a file system in which there is Python and what it imports, all
of it read-only, and a small scratch folder. There is no /proc, through which an open file could be opened anew. Root
leaves its user and goes into namespaces; others become nobody in a namespace of users. Where mounts can't be
had (in most containers) Landlock keeps files away, then without any scratch folder. With less, nothing is run.

What runs in there is a script's function ``main(told, seal)``. It imports what it needs, and calls `seal` before it
touches what nobody vouches for: from then on memory is bounded, and no process and no program can be started.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import random
import resource
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

# <linux/sched.h>, <sys/mount.h>, <linux/mount.h>, <linux/landlock.h>; calls that are numbered alike everywhere
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET, CLONE_THREAD = 0x20000000, 0x40000000, 0x00010000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
MOUNT_SETATTR, CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 442, 444, 445, 446
READ_RIGHTS, READ_FILE, WRITE_FILE, PATH_BENEATH = 1 | 4 | 8, 1 | 4, 2, 1  # execute, read a file, list a folder
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many Landlock's versions know; later ones: 16
NNP, SET_SECCOMP, FILTER = 38, 22, 2
KILL, FAIL, ALLOW, EPERM, ENOSYS = 0x80000000, 0x00050000, 0x7FFF0000, 1, 38
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
USERS = range(61184, 65520)  # of services that come and go, as systemd has it
NOBODY = 65534
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
COPIES = ("/proc/cpuinfo", "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present",
          "/sys/devices/system/cpu/online")  # what libraries choose their kernels by
# of <asm/unistd.h>: its audit number, pivot_root, clone; then what is of no use to arithmetic: processes, programs,
# other processes' memory, mounts, memory outside of the limits, keys, and what has had holes in the kernel
CALLS = {
    "x86_64": (0xC000003E, 155, 56, (57, 58, 59, 322, 41, 101, 310, 311, 272, 308, 165, 166, 155, 161, 319, 29, 68,
                                     248, 249, 250, 321, 298, 323, 304, 312, 144, 314, 141, 175, 313, 246, 320)),
    "aarch64": (0xC00000B7, 41, 220, (221, 281, 198, 117, 270, 271, 97, 268, 40, 39, 41, 51, 279, 194, 186,
                                      217, 218, 219, 280, 241, 282, 265, 272, 119, 274, 140, 105, 273, 104, 294)),
}
# clone3 fails as if it were not there: its flags can't be looked at, and libraries then use clone
CLONE3, NEWER = 435, (424, 425, 428, 429, 430, 432, 434, 438, 442, 447)


class Missing(Exception):
    """Something of the isolation can't be had."""


def main() -> None:
    told = json.loads(sys.argv[1])
    with open(told["script"], encoding="utf-8") as file:
        source = file.read()
    child, libc = _child(), ctypes.CDLL(None, use_errno=True)
    os.nice(told["niceness"])  # not as a session besides (`be_nice`): somebody waits for what it answers
    try:
        if os.uname().machine not in CALLS:
            raise Missing(f"system-call filters are not known on {os.uname().machine}")
        spaces = told["namespaces"] and _unshare(libc)
        mounts = spaces and told["mounts"] and _may_mount(libc)
        if not spaces and os.getuid() != 0:
            raise Missing("a user of its own: the server is not root, and may not make namespaces of users (look at "
                          "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns)")
        if not child._forbid_sockets(libc):
            raise Missing("a system-call filter")
        child._fork_worker(libc, spaces, told["server"], lambda: _become(libc, told, mounts))
        if not mounts:
            _landlock(libc, told["shown"])
        _limit(told, spaces)
    except (Missing, OSError) as error:
        _stop(f"{error} is missing" if isinstance(error, Missing) else str(error))
    told["ways"] = [*["namespaces"] * spaces, "mounts" if mounts else "landlock", "seccomp",
                    "user" if told["root"] else "user namespace"]
    sys.path += told["path"]
    place: dict[str, Any] = {"__name__": "cell"}
    exec(compile(source, told["script"], "exec"), place)  # ours
    place["main"](told, lambda memory: _seal(libc, told["statm"], memory))


def _child() -> Any:
    spec = importlib.util.spec_from_file_location("child", os.path.join(os.path.dirname(__file__), "child.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stop(why: str) -> NoReturn:
    os.write(2, why.encode())
    os._exit(254)  # CANNOT_ISOLATE


def _unshare(libc: Any) -> bool:
    """Namespaces of its own; for others than root with one of users, in which it is nobody."""
    kinds = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    user, group = os.getuid(), os.getgid()
    if user == 0:
        return bool(libc.unshare(kinds) == 0)
    if libc.unshare(CLONE_NEWUSER | kinds) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def _may_mount(libc: Any) -> bool:
    """Namespaces alone do not mean that: AppArmor may forbid it, and older kernels can't make all of it read-only."""
    try:
        _done(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private")
        _tmpfs(libc, os.getcwd(), "size=4k")
        _read_only(libc, os.getcwd(), 0, 0)
        _done(libc.umount2(os.fsencode(os.getcwd()), MNT_DETACH), "umount")
    except OSError:
        return False
    return True


def _become(libc: Any, told: dict[str, Any], mounts: bool) -> None:
    """In the worker, with all rights that there are for the last time."""
    try:
        told["statm"], told["root"] = os.open("/proc/self/statm", os.O_RDONLY), os.getuid() == 0
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # where memory is short, this one goes first
        if mounts:
            _move(libc, told["shown"], told["scratch_bytes"])
        if told["root"]:
            user = random.choice(USERS)  # two of them may share one: they don't see each other
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
    except OSError as error:
        _stop(str(error))


# files -------------------------------------------------------------------------------------------------


def _move(libc: Any, shown: Sequence[str], scratch: int) -> None:
    """Into a file system of its own, out of which nothing leads."""
    base = os.getcwd()
    os.umask(0o022)  # the server's may be one by which the folders made here could not be read
    _tmpfs(libc, base, "size=4m,mode=755")
    os.mkdir(f"{base}/tmp")
    _tmpfs(libc, f"{base}/tmp", f"size={scratch},mode=1777")  # first: Python may lie in there, and must not be hidden
    for path in shown:
        _show(libc, base, path, ATTR_NODEV)
    for path in DEVICES:
        _show(libc, base, path, 0)
    for path in COPIES:
        with suppress(OSError), open(path, "rb") as file:
            content = file.read(2 << 20)
            os.makedirs(os.path.dirname(base + path), exist_ok=True)
            with open(base + path, "wb") as copy:
                copy.write(content)
    _read_only(libc, base, ATTR_NOSUID | ATTR_NODEV, 0)
    os.chdir(base)
    _done(libc.syscall(CALLS[os.uname().machine][1], b".", b"."), "pivot_root")
    _done(libc.umount2(b".", MNT_DETACH), "umount")
    os.chdir("/tmp")  # its own
    os.environ["HOME"] = os.environ["TMPDIR"] = "/tmp"


def _tmpfs(libc: Any, path: str, options: str) -> None:
    _done(libc.mount(b"cell", path.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options.encode()), "tmpfs")


def _show(libc: Any, base: str, path: str, device: int) -> None:
    target = base + path
    if not os.path.lexists(path) or os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _done(libc.mount(os.fsencode(path), os.fsencode(target), None, MS_BIND | MS_REC, None), f"{path} can't be shown")
    _read_only(libc, target, ATTR_NOSUID | device, AT_RECURSIVE)


def _read_only(libc: Any, path: str, more: int, flags: int) -> None:
    what = ctypes.create_string_buffer(struct.pack("QQQQ", ATTR_RDONLY | more, 0, 0, 0), 32)
    _done(libc.syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, what, 32),
          "read-only mounts (Linux 5.12 has them)")


def _landlock(libc: Any, shown: Sequence[str]) -> None:
    """Read what is shown, and nothing else."""
    hidden = [path for path in shown if not os.access(path, os.R_OK)]
    if hidden:
        raise Missing(f"a user of its own that can read {hidden[0]} (without mounts it has to be open to all)")
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        raise Missing("mount namespaces may not be made here, and Landlock (Linux 5.13): a file system of its own")
    handled = (1 << RIGHTS.get(version, 16)) - 1
    values = (handled, 3, 3)[: 1 if version < 4 else 2 if version < 6 else 3]  # also TCP; signals, abstract sockets
    attributes = ctypes.create_string_buffer(struct.pack(f"{len(values)}Q", *values))
    rules = libc.syscall(CREATE_RULESET, attributes, 8 * len(values), 0)
    _done(min(rules, 0), "Landlock")
    for path in (*shown, *DEVICES, *COPIES):
        if os.path.exists(path):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rights = READ_RIGHTS if os.path.isdir(path) else READ_FILE | WRITE_FILE * (path == DEVICES[0])
            rule = struct.pack("=Qi", rights, place)
            _done(libc.syscall(ADD_RULE, rules, PATH_BENEATH, ctypes.create_string_buffer(rule), 0), "Landlock")
            os.close(place)
    _done(libc.syscall(RESTRICT_SELF, rules, 0), "Landlock")
    os.close(rules)
    os.chdir("/")


def _done(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


# limits ------------------------------------------------------------------------------------------------


def _limit(told: dict[str, Any], spaces: bool) -> None:
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: told["file_bytes"], resource.RLIMIT_MEMLOCK: 0,
              resource.RLIMIT_NOFILE: told["open_files"], resource.RLIMIT_NPROC: told["threads_most"]}
    for kind, value in wanted.items():
        most = resource.getrlimit(kind)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (value, value))


def _seal(libc: Any, statm: int, memory: int) -> None:
    """From now on so much more memory (bytes of address space), no process, and no program. Raises `OSError`."""
    pages = int(os.pread(statm, 200, 0).split()[0])
    os.close(statm)
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    architecture, _, clone, calls = CALLS[os.uname().machine]
    refused = (*calls, *NEWER)
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if os.uname().machine == "x86_64":
        steps += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, FAIL | EPERM)]  # x32
    steps += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, FAIL | ENOSYS)]
    for call in refused:
        steps += [(EQUAL, 0, 1, call), (RETURN, 0, 0, FAIL | EPERM)]
    steps += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, 16), (ANY_BIT, 1, 0, CLONE_THREAD), (RETURN, 0, 0, FAIL | EPERM),
              (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc.prctl(NNP, 1, 0, 0, 0)
    _done(libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(header), 0, 0), "a system-call filter")


if __name__ == "__main__":
    main()
