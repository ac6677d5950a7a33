"""The sandbox: what comes out of it, what does not, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aimass_stream import sandbox
from aimass_stream.errors import (
    InvalidMedia,
    SandboxError,
    SandboxKilled,
    SandboxRaised,
    SandboxTimeout,
    SandboxTooBig,
    Unavailable,
)
from aimass_stream.sandbox import Limits, call, command, isolation
from tests.support import sandboxed as work

pytestmark = pytest.mark.anyio

WAYS = {"namespaces": Limits(filter=False), "filter": Limits(namespaces=False), "both": Limits()}


@pytest.fixture(autouse=True)
async def nothing_stays() -> AsyncIterator[None]:
    """No process, descriptor or scratch folder is left by a test."""
    me = psutil.Process()
    descriptors, children = me.num_fds(), set(me.children(recursive=True))
    yield
    async with asyncio.timeout(30):
        while me.num_fds() > descriptors or set(me.children(recursive=True)) > children:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_functions_answer_json_and_bytes() -> None:
    assert await call(work.add, 2, right=3) == 5
    assert await call(work.backwards, b"abc" * 100_000) == b"cba" * 100_000
    assert await call(work.loop) == 7


async def test_the_child_is_nice_and_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIMASS_API_KEY", "a-secret-of-ours")
    facts = await call(work.facts)
    assert facts["nice"] >= Limits().niceness
    assert "a-secret-of-ours" not in str(facts["environment"])
    assert facts["written"] == "mine"
    assert not os.path.exists(facts["folder"])  # noqa: ASYNC240
    assert facts["open"] <= 5
    assert facts["processes"] == 64 or await isolation() == "seccomp"


async def test_errors_of_ours_come_back_as_they_were_and_others_by_name() -> None:
    with pytest.raises(InvalidMedia, match="no picture") as ours:
        await call(work.refuse)
    assert ours.value.field == "image"
    with pytest.raises(SandboxRaised, match="ZeroDivisionError: one over nothing") as other:
        await call(work.fail)
    assert other.value.exception == "ZeroDivisionError"
    assert "in fail" in other.value.traceback
    assert "traceback" not in other.value.problem()
    with pytest.raises(SandboxRaised, match="not JSON serializable"):
        await call(work.secret)
    with pytest.raises(SandboxRaised, match="a lie"):
        await call(work.fail_like_the_sandbox)


@pytest.mark.parametrize("hoard", [work.eat_memory, work.map_memory])
async def test_a_memory_bomb_ends_at_its_limit(hoard: Any) -> None:
    with pytest.raises((SandboxTooBig, SandboxRaised)) as caught:
        await call(hoard, limits=Limits(memory_bytes=512 << 20))
    assert "512 MiB" in str(caught.value) or "Cannot allocate memory" in str(caught.value)


async def test_a_busy_loop_ends_at_its_processor_time() -> None:
    with pytest.raises(SandboxTimeout, match="1 s of processor time"):
        await call(work.spin, limits=Limits(cpu_seconds=1))


@pytest.mark.parametrize(("idle", "way"), [(work.sleep, "both"), (work.sleep_and_ignore, "namespaces"),
                                           (work.sleep_and_ignore, "filter")])
async def test_an_idle_one_ends_on_the_clock(idle: Any, way: str) -> None:
    begun = time.monotonic()
    limits = Limits(seconds=0.5, namespaces=WAYS[way].namespaces, filter=WAYS[way].filter)
    with pytest.raises(SandboxTimeout, match=r"not done within 0\.5 s"):
        await call(idle, 60, limits=limits)
    assert time.monotonic() - begun < 20


async def test_a_cancelled_caller_leaves_no_child() -> None:
    task = asyncio.create_task(call(work.sleep, 60))
    me = psutil.Process()
    before = len(me.children())
    async with asyncio.timeout(30):
        while len(me.children()) == before:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("number", "way"), [(signal.SIGKILL, "both"), (signal.SIGSEGV, "both"),
                                             (signal.SIGABRT, "filter")])
async def test_a_crash_names_its_signal(number: signal.Signals, way: str) -> None:
    with pytest.raises(SandboxKilled, match=number.name) as caught:
        await call(work.crash, int(number), limits=WAYS[way])
    assert caught.value.signal == number


async def test_an_end_without_an_answer() -> None:
    for status in (0, 3):
        with pytest.raises(SandboxRaised, match="without an answer"):
            await call(work.leave, status)


async def test_answers_files_and_descriptors_are_bounded() -> None:
    assert len(await call(work.shout, 999_999)) == 999_999
    with pytest.raises(SandboxTooBig, match="longer than 1000 bytes"):
        await call(work.shout, 1000, limits=Limits(output_bytes=1000))
    with pytest.raises(SandboxTooBig, match="longer than"):
        await command([sys.executable, "-c", "while True: print('x' * 100_000)"])
    with pytest.raises(SandboxTooBig, match="prints more than"):
        await call(work.flood)
    assert await call(work.write_file, 1000, limits=Limits(file_bytes=1000)) == 1000
    with pytest.raises(SandboxRaised, match="File too large"):
        await call(work.write_file, 1001, limits=Limits(file_bytes=1000))
    with pytest.raises(SandboxRaised, match="Too many open files"):
        await call(work.open_files)


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A TCP and a UDP port of ours, and what came in."""
    heard: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            heard.append(data)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("127.0.0.1", port))
    yield port, heard
    transport.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("way", WAYS)
async def test_the_network_is_out_of_reach(listener: tuple[int, list[bytes]], way: str) -> None:
    port, heard = listener
    answer = await call(work.reach, "127.0.0.1", port, limits=WAYS[way])
    assert "sent" not in answer.split()[0]
    output = await command([sys.executable, "-c", (
        "import socket, sys\ntry: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2)\n"
        "except OSError as error: print(error)"), str(port)], limits=WAYS[way])
    assert output.stdout
    await asyncio.sleep(0.05)  # for a datagram that should not be
    assert heard == []


async def test_the_same_reach_works_where_it_is_allowed(listener: tuple[int, list[bytes]]) -> None:
    port, heard = listener
    assert await call(work.reach, "127.0.0.1", port, limits=Limits(network=True)) == "sent sent"
    async with asyncio.timeout(30):
        while len(heard) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_without_any_isolation_nothing_is_run() -> None:
    with pytest.raises(Unavailable, match="can't be closed"):
        await call(work.add, 1, limits=Limits(namespaces=False, filter=False))


async def test_it_says_how_it_isolates() -> None:
    assert await isolation() in {"namespaces+seccomp", "namespaces", "seccomp"}


@pytest.mark.parametrize("way", WAYS)
async def test_what_flees_is_ended_as_well(tmp_path: Path, way: str) -> None:
    note = tmp_path / "alive"
    await call(work.fork_and_flee, str(note), limits=WAYS[way])
    last = note.read_text() if note.exists() else ""
    await asyncio.sleep(0.3)  # it would have written twice
    assert (note.read_text() if note.exists() else "") == last


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel sets root no limit of processes")
async def test_a_fork_bomb_meets_its_limit() -> None:
    assert await call(work.processes, limits=Limits(filter=False)) == "BlockingIOError"


SERVER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from aimass_stream.sandbox import call
from tests.support import sandboxed
asyncio.run(call(sandboxed.sleep, 60))
"""


async def test_a_killed_server_takes_its_children_along() -> None:
    root = str(Path(__file__).parent.parent)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, root)
    server = psutil.Process(process.pid)
    async with asyncio.timeout(30):
        while not (family := server.children(recursive=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    server.kill()
    await process.wait()
    _, left = await asyncio.to_thread(psutil.wait_procs, family, 30)
    assert left == []


async def test_programs() -> None:
    output = await command(["cat"], stdin=b"hello" * 50_000)
    assert (output.status, output.stdout) == (0, b"hello" * 50_000)
    output = await command(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (output.status, output.stdout, output.stderr) == (3, b"out\n", b"err\n")
    with pytest.raises(SandboxKilled, match="SIGKILL"):
        await command(["sh", "-c", "kill -9 $$"])
    with pytest.raises(Unavailable, match="no program 'no-such-program'"):
        await command(["no-such-program"])
    with pytest.raises(Unavailable):
        await command([])


async def test_ten_at_once() -> None:
    assert await asyncio.gather(*(call(work.add, n, n) for n in range(10))) == [2 * n for n in range(10)]


async def test_an_answer_that_is_no_answer_is_refused() -> None:
    class Liar(sandbox._Child):
        async def run(self) -> sandbox.Output:
            return sandbox.Output(0, b"j" + b"[" * 200_000, b"")

    original, sandbox._Child = sandbox._Child, Liar  # type: ignore[misc]
    try:
        with pytest.raises(SandboxError, match="can't be read"):
            await call(work.add, 1)
    finally:
        sandbox._Child = original  # type: ignore[misc]
