"""`aimass join` and the tutorial's program, as people run them, against the real Janus."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.cli.common import refuse
from aimass_stream.cli.join import _print
from aimass_stream.client import Client
from aimass_stream.errors import Unavailable
from aimass_stream.frames import Samples
from aimass_stream.ports import Caller
from tests.support.command import clean, here
from tests.support.janus import meeting
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.server import serve
from tests.support.speech import speak
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "captions-in-a-meeting.md"
PROGRAM = re.findall(r"^```python\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)[0]
LEVEL = '[{"stage": "level"}]'
HEARS = ("env", "--default-signal=HUP")  # the tests' own `nohup` would be respected
SCRIPT = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")  # has its background ignore Ctrl-C


@pytest.fixture(scope="module")
def clip() -> Samples:
    return speak()


@asynccontextmanager
async def running(*arguments: str, within: tuple[str, ...] = ()) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that is interrupted at the end, if it is still there; `within` is a command that runs another one."""
    process = await asyncio.create_subprocess_exec(*within, sys.executable, *arguments, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.PIPE, env=clean())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(90):
        return (await process.stdout.readline()).decode().strip()


@pytest.mark.parametrize(("ends", "within"), [
    ([signal.SIGINT], ()), ([signal.SIGTERM] * 2, SCRIPT),  # twice, as by `timeout`
    ([signal.SIGHUP] * 2, HEARS)])  # once by the shell, once by the kernel
async def test_the_command_tells_what_happens_and_leaves_when_it_is_ended(ends: list[signal.Signals],
                                                                         within: tuple[str, ...]) -> None:
    async with serve(settings()) as server, meeting() as held:
        ann = await held.guest("Ann\x1b[31m [bold]", Voice())
        given = ("-m", "aimass_stream", "join", "janus", held.url, str(held.room), "--server", server.url, "-p", LEVEL,
                 "--name", "Scribe", "--json")
        async with running(*given, within=within) as process:
            told: list[dict[str, Any]] = []
            while not told or told[-1]["type"] != "participant.state":
                told.append(json.loads(await line(process)))
            assert [each["type"] for each in told] == ["room.joined", "participant.joined", "participant.state"]
            assert told[1]["name"] == "Ann [31m [bold]"
            assert set(await ann.others()) == {"Scribe (AI Mass)"}
            async with Client(server.url) as client:
                assert [room["leave_after"] for room in await client.rooms.find()] == [60]
            for each in ends:
                process.send_signal(each)
            _, said = await process.communicate()
        assert (process.returncode, "The server has left the room." in said.decode()) == (130, True)
        await ann.alone()


async def test_a_command_that_is_killed_holds_the_room_no_more() -> None:
    async with serve(settings()) as server, meeting() as held:
        given = ("-m", "aimass_stream", "join", "janus", held.url, str(held.room), "--server", server.url, "-p", LEVEL)
        async with running(*given) as process:
            assert await line(process) == "Joined."
            (room,) = server.state.rooms.all(Caller("anyone"))
            await until(lambda: room.log.unfollowed == 0)
            process.kill()
            await until(lambda: room.log.unfollowed > 0)


def test_what_another_server_says_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _print({"type": "room.ended", "reason": "\x1b[31mred"}, as_json=False)
    refuse(Unavailable("two\nlines \x1b[31mred"))
    told = capsys.readouterr()
    assert told.out == "The room is over:  [31mred.\n"
    assert "two\nlines  [31mred" in told.err
    assert "\x1b[31mred" not in told.err


async def test_a_room_that_is_left_to_the_server() -> None:
    async with serve(settings()) as server, meeting() as held:
        ann = await held.guest("Ann")
        to = ("--server", server.url)

        async def command(*arguments: str) -> str:
            done = await asyncio.to_thread(here, *arguments, *to)
            assert done.code == 0, done.err
            return done.out

        joined = json.loads(await command("join", "janus", held.url, str(held.room), "--detach", "--json",
                                          "--assistant", "Computer"))
        assert "AI Mass" in await ann.others()
        assert joined["leave_after"] is None
        again = await asyncio.to_thread(here, "join", "janus", held.url, str(held.room), *to)
        assert again.code == 1
        assert again.err.endswith(f"(DELETE /v1/rooms/{joined['id']}), or give another name (--name)\n")
        assert json.loads(await command("rooms", "list", "--json"))[0]["id"] == joined["id"]
        assert f"janus {held.room}" in await command("rooms", "list")
        shown = await command("rooms", "show", joined["id"])
        assert "Ann" in shown
        assert "Computer: " in shown
        assert json.loads(await command("rooms", "show", joined["id"], "--json"))["participants"][0]["name"] == "Ann"
        assert json.loads(await command("rooms", "captions", joined["id"], "--json")) == []
        assert await command("rooms", "captions", joined["id"]) == ""
        assert "Left." in await command("rooms", "leave", joined["id"])
        await ann.alone()
        refused = await asyncio.to_thread(here, "join", "janus", held.url, "999", *to)
        assert (refused.code, refused.err) == (1, "Janus refused: No such room (999)\n")
        wrong = await asyncio.to_thread(here, "join", "janus", held.url, "999", "--publish", "smell", *to)
        assert wrong.code == 2


async def test_refusals_name_what_was_typed() -> None:
    async with serve(settings()) as server, meeting(pin="1111") as held:
        web = server.url.replace("http", "ws")
        for arguments, told in (
                (("janus", held.url, str(held.room)), "this room wants a pin (--pin)\n"),
                (("janus", web, "1"), f"no Janus answers at {web}: that is a web server (HTTP 403). Give the address "
                 "of Janus' websocket, such as ws://janus.example:8188 or wss://janus.example/ws\n"),
                (("janus", "ws://127.0.0.1:9", "1"), "no Janus answers at ws://127.0.0.1:9: nothing listens there. Is "
                 "it running, with its websocket transport?\n"),
                (("janus", web.replace("ws:", "wss:"), "1"), "which ws:// in place of wss:// goes without\n"),
                (("janus", "ws://[", "1"), "'ws://[' is no address\n"),
                (("livekit", "http://127.0.0.1", "1", "--token", "x"), "and has no password in it\n")):
            refused = await asyncio.to_thread(here, "join", *arguments, "--server", server.url)
            assert (refused.code, refused.err[-len(told):]) == (1, told)
        unknown = await asyncio.to_thread(here, "rooms", "show", "nowhere", "--server", server.url)
        assert (unknown.code, unknown.err) == (1, "there is no room 'nowhere'\n")


async def test_the_program_of_the_tutorial(clip: Samples, tmp_path: Path) -> None:
    async with serve(settings()) as server, meeting() as held:
        voice = Voice()
        ann = await held.guest("Ann", voice)
        program = PROGRAM
        for written, meant in (("http://127.0.0.1:8000", server.url), ("ws://127.0.0.1:8188", held.url),
                               ("1234", str(held.room))):
            assert program.count(written) == 1
            program = program.replace(written, meant)
        file = tmp_path / "program.py"
        file.write_text(program)
        async with running("-u", str(file)) as process:
            await ann.until(lambda: any(each["display"] == "Scribe (AI Mass)" for told in ann.told
                                        for each in told.get("publishers", ())))
            await until_served(server.url)
            voice.say(clip)
            assert re.fullmatch(r"Ann: \w.*", await line(process))
            process.send_signal(signal.SIGINT)
            await process.communicate()
        await ann.alone()


async def until_served(url: str) -> None:
    """The room's only participant is."""
    async with Client(url) as client:
        (room,) = await client.rooms.find()
        seen: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(60):
                async for event in client.rooms.follow(room["id"]):
                    seen.append(event)
                    if event["type"] == "participant.state":
                        assert event["state"] == "served"
                        return
        except TimeoutError as error:
            raise AssertionError(f"{seen}, {await client.rooms.find()}") from error
