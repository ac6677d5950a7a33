"""What commands say: numbers, refusals of what is given, and what becomes of things; without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from aimass_stream.accounts import keys
from aimass_stream.cli import conversions, people, quarantine, teams, usage
from aimass_stream.cli.common import refuse
from aimass_stream.cli.tables import amount
from aimass_stream.client import Client
from aimass_stream.client.connection import error_of
from aimass_stream.client.files import FileReader
from aimass_stream.client.records import Percentiles, Quarantined, Team, Version
from aimass_stream.errors import AimassError, Busy, InvalidInput, NotFound, Unavailable
from aimass_stream.figures import short
from tests.support.command import here
from tests.support.model_files import linear

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.mark.parametrize(("value", "said"), [
    (0, "0"), (41.56, "41.6"), (0.00001234, "0.0000123"), (9.996, "10"), (99.96, "100"), (237.2, "237"),
    (999.7, "1000"), (1384, "1380"), (1e6, "1000000"), (-2400, "-2400"), (1e-300, "0")])
def test_numbers_for_people_have_no_exponents(value: float, said: str) -> None:
    assert short(value) == said


def test_delays_and_sizes_for_people() -> None:
    assert usage._shown(Percentiles(p50=237.1, p95=1381.4, p99=1442)) == "237 / 1380 / 1440"
    assert [amount(count) for count in (0, 999, 999.6e3, 1.5e9)] == ["0 B", "999 B", "1 MB", "1.5 GB"]


@pytest.mark.parametrize("arguments", [
    ["predict", "fish", "[1e400]"], ["predict", "fish", "[[NaN]]"], ["predict", "fish", "Infinity"],
    ["models", "try", "fish@1", "[NaN]"], ["apps", "run", "soft", '{"count": NaN}'],
    ["apps", "run", "soft", "{}", "--set", "count=1e999"], ["models", "alerts", "fish", "--rule", "error_rate>NaN"],
    ["models", "alerts", "fish", "--rule", "error_rate>1e400"],
    ["models", "convert", "fish", "prune", "--option", "share=NaN"],
    ["stream", __file__, "--out", "none.mp4", "--pipeline", '[{"stage": "blur", "sigma": NaN}]']])
def test_numbers_that_json_does_not_have_are_refused_at_once(arguments: list[str]) -> None:
    done = here(*arguments, AIMASS_URL=NOWHERE)
    assert (done.code, done.out) == (2, "")
    assert "is no number that JSON has" in " ".join(done.err.replace("│", " ").split())


def test_what_is_wrong_with_arguments_is_said(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(linear())
    for arguments, says in [
            (["models", "upload", "big", str(file), "--manifest", '{"options": NaN}'], "JSON has"),
            (["predict", "fish", "[" * 100_000], "nested too deeply"),
            (["models", "alerts", "fish", "--rule", "error_rate>true"], "say error_rate>0.05"),
            (["users", "quota", "bob", "requests=-5"], "NAME=COUNT"),
            (["keys", "create", "x", "--quota", "requests=-5"], "--quota"),
            (["keys", "create", "x", "--days", "99999999999"], "3653")]:
        done = here(*arguments, AIMASS_URL=NOWHERE)
        assert done.code == 2, arguments
        assert says in " ".join(done.err.replace("│", " ").split()), done.err
    assert people.LONGEST * 86400 == keys.LONGEST


@pytest.mark.anyio
@pytest.mark.parametrize("value", [float("nan"), [1, float("inf")], "\ud800"])
async def test_the_client_sends_no_json_that_is_none(value: Any) -> None:
    async with Client(NOWHERE) as client:
        for asked in (client.predict("fish", value), client.models.change("fish", title=value)):
            with pytest.raises(InvalidInput, match="JSON"):
                await asked


def test_a_field_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    refuse(InvalidInput("rules.0.metric: Input should be one of these", field="rules.0.metric"))
    refuse(InvalidInput("it is too large", field="size"))
    refuse(InvalidInput("blur.sigma: Input should be less than or equal to 200", field="pipeline[1].sigma"))
    refuse(InvalidInput("text.size: it is odd", field="pipeline[0].size"))
    refuse(InvalidInput("blur: it has no picture", field="pipeline[0]"))
    assert capsys.readouterr().err.splitlines() == [
        "rules.0.metric should be one of these", "it is too large (size)",
        "blur.sigma should be less than or equal to 200 (pipeline[1])", "text.size: it is odd (pipeline[0])",
        "blur: it has no picture (pipeline[0])"]


@pytest.mark.parametrize("command", [["account", "password"], ["login", "--name", "ada"]])
def test_a_password_that_comes_from_a_pipe_is_read_as_it_is(command: list[str]) -> None:
    piped = here(*command, typed="old one\nnew one\n", AIMASS_URL=NOWHERE)
    assert (piped.code, piped.out) == (1, "")  # no prompt, and then nobody answers
    assert "aimass serve" in piped.err
    empty = here(*command, typed="", AIMASS_URL=NOWHERE)
    assert empty.code == 2
    assert "no password came in" in empty.err


@pytest.mark.anyio
async def test_the_client_knows_whether_it_changed_anything() -> None:
    async with Client(NOWHERE) as client:
        for asked, changes in ((client.jobs.find(), False), (client.jobs.cancel("job_1"), True)):
            with pytest.raises(Unavailable):
                await asked
            assert client.changes is changes


def test_teams_are_told_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    teams._say(Team(id="team_1", name="lab", title="Labor"), as_json=False)
    teams._say(Team(id="team_1", name="lab"), as_json=False)
    assert capsys.readouterr().out.splitlines() == ["lab, Labor (team_1): nobody", "lab (team_1): nobody"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert "there is no model '../../etc'" in here("models", "show", "../../etc", AIMASS_URL=NOWHERE).err
    empty = tmp_path / "empty.onnx"
    empty.touch()
    done = here("models", "upload", "empty", str(empty), AIMASS_URL=NOWHERE)
    assert (done.code, done.err.strip()) == (1, "empty.onnx is empty")
    missing = error_of(httpx.Response(404, json={"detail": "Not Found"}, request=httpx.Request("GET", "http://a/v1/x")))
    assert isinstance(missing, NotFound)
    assert missing.detail == "there is nothing at /v1/x on this server"


@pytest.mark.parametrize("arguments", [
    ["models", "show", ""], ["models", "delete", "", "--yes"], ["models", "graph", ""], ["apps", "show", ""],
    ["apps", "delete", "", "--yes"], ["jobs", "show", ""], ["jobs", "delete", ""], ["keys", "revoke", ""],
    ["requests", "withdraw", ""], ["batch", "show", ""], ["batch", "watch", ""], ["teams", "delete", "", "--yes"]])
def test_an_empty_name_is_none(arguments: list[str]) -> None:
    done = here(*arguments, AIMASS_URL=NOWHERE)
    assert (done.code, done.out, done.err.strip()) == (1, "", "a name is empty: say which one is meant")


@pytest.mark.anyio
async def test_a_server_that_sends_elsewhere_has_done_nothing() -> None:
    async def moved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://else.example/v1/jobs/a\r\n"
                     b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(moved, "127.0.0.1", 0)
    async with server, Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(AimassError, match=r"sends to https://else\.example/v1/jobs/a") as refused:
            await client.jobs.delete("a")
        assert refused.value.problem()["status"] == 308


def test_when_to_come_again_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    refuse(Busy("3 requests a minute are allowed, and they are used up", retry_after=57))
    assert capsys.readouterr().err == "3 requests a minute are allowed, and they are used up; again in 57 s\n"


def test_what_is_no_film_is_told_without_numbers_of_errors(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    with pytest.raises(InvalidInput, match=r"notes\.txt can't be read: Invalid data found when processing input$"):
        FileReader(tmp_path / "notes.txt")


def test_answers_that_have_no_place_begin_no_batch(tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    lines.write_text("{}")
    for out, says in ((tmp_path / "none" / "out.jsonl", "there is no folder"), (tmp_path, "is a folder")):
        for command in (["batch", "send", str(lines)], ["batch", "watch", "batch_1"], ["batch", "answers", "batch_1"]):
            done = here(*command, "--out", str(out), AIMASS_URL=NOWHERE)
            assert done.code == 2, done
            assert says in " ".join(done.err.replace("│", " ").split())


def test_details_of_the_log_are_for_people() -> None:
    assert teams._details({"scopes": ["jobs", "media"], "team": "", "share": 0, "days": 1.5, "by": None}) == (
        "scopes jobs media, share 0, days 1.5")


def converted(kind: str, after: tuple[int, float]) -> dict[str, Any]:
    return {"version": 3, "conversion": {"kind": kind, "from": 1, "size": {"before": 257, "after": after[0]},
                                         "latency_ms": {"before": 1.0, "after": after[1]}}}


@pytest.mark.parametrize(("kind", "after", "says"), [
    ("int8", (909, 1.08), "It is larger and slower than fish@1"), ("int8", (909, 0.7), "Let it serve"),
    ("int8", (100, 1.5), "Let it serve"), ("half", (257, 1.0), "It is no smaller and no faster than fish@1"),
    ("encrypt", (300, 1.1), "Let it serve"), ("prune", (257, 1.0), "Let it serve")])
def test_what_a_conversion_won(capsys: pytest.CaptureFixture[str], kind: str, after: tuple[int, float],
                               says: str) -> None:
    conversions._say("fish", converted(kind, after))
    said = capsys.readouterr().out
    assert says in said
    assert ("models deploy" in said) == (says == "Let it serve")
    assert f"{after[0] / 257 - 1:+.0%}".replace("%", " %") in said


def test_who_sent_what_waits() -> None:
    version = Version(name="fish", number=1, model="fish@1", state="quarantined")
    for own, name, said in ((False, "ada", "ada"), (True, "ada", "ada (you)"), (False, "", "usr_1")):
        waiting = Quarantined(version=version, creator="usr_1", owner="usr_1", creator_name=name, own=own)
        assert quarantine._who(waiting) == said
