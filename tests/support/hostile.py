"""Models that are code, as their files: good ones, and such as want to harm who runs them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

from aimass_stream.engines.code import CodeModel
from aimass_stream.inference.contract import Capabilities, TensorSpec
from aimass_stream.inference.device import CpuDevice
from aimass_stream.inference.loader import Entry, ModelFile

X = (TensorSpec("x", (None, 2), example=(1, 2)),)
Y = (TensorSpec("y", (None, 2)),)


class _Made:
    def __init__(self, source: str) -> None:
        self.source = source

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"(lambda place: (exec({self.source!r}, place), place.get('f'))[1])(dict())",)


def pickled(source: str) -> bytes:
    """What runs this source as it is loaded, and becomes its function `f`, where it has one."""
    return pickle.dumps(_Made(source))


def model(folder: Path, content: bytes, *, format: str = "pickle", name: str = "m", inputs: Any = X, outputs: Any = Y,
          longest: float = 20.0) -> CodeModel:
    """Loaded, in a cell of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.bin").write_bytes(content)
    entry = Entry(
        folder=folder, name=name, version="1", title=name, task="test", licence="MIT", sources=("made",),
        engine="aimass_stream.engines.code:CodeModel", inputs=inputs, outputs=outputs,
        files=(ModelFile("m.bin", len(content), hashlib.sha256(content).hexdigest()),),
        capabilities=Capabilities(longest=longest), options={"format": format, "file": "m.bin"})
    return CodeModel(entry, CpuDevice(threads=1, places=1))


TRIES = """
import os, socket, ctypes, signal, sys, threading
told = []
def attempt(name, work):
    try:
        work()
        told.append(1.0)
    except BaseException:
        told.append(0.0)
def write(path):
    with open(path, "w") as file:
        file.write("x")
def connect(kind, family=socket.AF_INET):
    socket.socket(family, kind).connect(("127.0.0.1", PORT))
def call(number, *arguments):
    if ctypes.CDLL(None).syscall(number, *arguments) < 0:
        raise OSError
def outside(path):
    os.listdir(path)
attempt("write", lambda: write(FOLDER + "/touched"))
attempt("write home", lambda: write(PACKAGE + "/touched.py"))
attempt("root", lambda: write("/touched"))
attempt("etc", lambda: write("/etc/touched"))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("database", lambda: open(FOLDER + "/aimass.db").read())
attempt("list", lambda: outside(FOLDER))
attempt("file", lambda: open("/proc/self/fd/3", "w"))
attempt("proc", lambda: outside("/proc/1"))
attempt("tcp", lambda: connect(socket.SOCK_STREAM))
attempt("udp", lambda: connect(socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("fork", lambda: os.fork() or os._exit(0))
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("kill", lambda: os.kill(SERVER, signal.SIGTERM))
attempt("root again", lambda: os.setuid(0) or os.getuid() == 0 and write("/touched"))
attempt("namespace", lambda: call(272, 0x10000000))
attempt("hoard", lambda: bytearray(8 << 30))
attempt("memfd", lambda: os.memfd_create("x"))
try:
    os.kill(os.getppid(), signal.SIGKILL)
except OSError:
    pass
def f(x):
    import numpy as np
    return np.array([told], np.float32)
"""
RUNS = """
import numpy as np, os, time, json, signal
def say(told, body=b""):
    head = json.dumps(told).encode()
    for number in range(3, 40):
        try:
            if not os.get_blocking(number):
                continue
            os.write(number, len(head).to_bytes(4, "little") + head + body)
        except OSError:
            pass
    time.sleep(60)
def f(x):
    what = int(x[0, 0])
    if what == 1: time.sleep(600)
    if what == 2: os._exit(3)
    if what == 3: os.kill(os.getpid(), signal.SIGKILL)
    if what == 4: say({"tensors": [{"shape": [1 << 29], "dtype": "float32"}]})
    if what == 5: say({"tensors": [{"shape": [-1], "dtype": "float32"}]})
    if what == 6: say({"tensors": [{"shape": [1], "dtype": "object"}]})
    if what == 7: say([[[[1]]]])
    if what == 8: say("x" * 100_000)
    if what == 9: return np.zeros((1, 3), np.float32)
    if what == 10: return np.zeros((1, 2), np.float64)
    if what == 11: return [x, x]
    if what == 12: return np.zeros((100_000_000,), np.float32)
    if what == 13: raise ValueError("not this\\n\\x1b[31m one")
    if what == 14: raise RuntimeError("broken")
    if what == 15: print("x" * 50_000_000)
    return x * 2
"""
