"""The `aimass` commands against a server that is a process of its own, on uvloop, as it is run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aimass_stream.cli.main import COMMANDS
from tests.support.command import Done, aimass, clean, here
from tests.support.media_files import numbers, write_clip
from tests.support.picture_files import file
from tests.support.server import served
from tests.support.sights import code, pasted, wall

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
KEY = "a key for tests"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    limits = {"AIMASS_MAX_LOAD": "1", "AIMASS_MAX_LOOP_LAG": "10"}
    with served("--max-sessions", "3", "--api-key", KEY, env=limits) as (url, _):
        yield url


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "long.mkv", seconds=30, width=160, height=120)


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_recogniser_that_nobody_knows_is_refused_with_those_there_are() -> None:
    for name in ("HEARING", "VOICE_ENGINE"):
        done = here("serve", "--port", "0", **{f"AIMASS_{name}": "nonsense"})
        assert done.code == 2
        told = " ".join(done.err.replace("│", " ").split())
        assert f"AIMASS_{name}" in told
        assert "there are: auto, " in told


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-m", "aimass_stream", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=clean() | {"AIMASS_API_KEY": KEY}) as process:
        try:
            yield process
        finally:
            process.kill()


def test_help_lists_every_command_and_loads_little() -> None:
    shown = here("--help")
    assert shown.code == 0
    for name in COMMANDS:
        assert f" {name} " in shown.out
        assert here(name, "--help").code == 0
    heavy = "import sys; from aimass_stream.cli.main import COMMANDS, build; build(list(COMMANDS)); " \
            "print([name for name in ('numpy', 'cv2', 'av', 'aiortc', 'fastapi', 'httpx') if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, env=clean())
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(("transport", "out"), [("ws", "out.mp4"), ("webrtc", "out.webm")])
def test_a_file_goes_through_in_real_time_and_comes_back(url: str, clip: Path, tmp_path: Path, transport: str,
                                                         out: str) -> None:
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text('[{"stage": "mirror"}, {"stage": "gain", "db": -6}]')
    begun = time.monotonic()
    done = aimass("stream", str(clip), "--out", str(tmp_path / out), "--pipeline", f"@{pipeline}",
                  "--transport", transport, "--url", url, "--json", AIMASS_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun > 2
    summary = json.loads(done.stdout)
    for track in ("audio-0", "video-0"):
        assert summary["tracks"][track]["came_back"] > 0.2 * summary["tracks"][track]["sent"]
        assert 0 < summary["tracks"][track]["p50_ms"] <= summary["tracks"][track]["p95_ms"]
    came = [number for number in numbers(tmp_path / out) if number is not None]
    assert len(came) > 10
    assert came == sorted(came)
    eventually(lambda: json.loads(here("sessions", "--json", "--url", url, AIMASS_API_KEY=KEY).out)["sessions"] == [])


def test_a_running_session_is_shown_and_ctrl_c_keeps_what_was_written(url: str, long_clip: Path,
                                                                      tmp_path: Path) -> None:
    out, seen = tmp_path / "out.mp4", [""]
    with started("stream", str(long_clip), "-o", str(out), "--url", url, "-p", '[{"stage": "gray"}]',
                 "--latency", "2000") as process:

        def shown() -> bool:
            assert process.poll() is None, process.communicate()
            seen[0] = here("sessions", "--once", "--url", url, AIMASS_API_KEY=KEY).out
            return "gray" in seen[0] and " / " in seen[0] and "promised" in seen[0]

        eventually(shown)
        assert "websocket" in seen[0]
        assert "sessions 1/3" in seen[0]
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert "video-0" in printed
    assert "p95" in printed
    assert "Promised 2000 ms in the server" in printed
    assert 0 < len(numbers(out)) < 800


def test_one_session_is_looked_at_changed_and_ended(url: str, long_clip: Path, tmp_path: Path) -> None:
    def told(*arguments: str) -> Any:
        done = here("sessions", *arguments, "--json", AIMASS_URL=url, AIMASS_API_KEY=KEY)
        return json.loads(done.out) if done.code == 0 else done.err

    def said(*arguments: str) -> str:
        done = here("sessions", *arguments, AIMASS_URL=url, AIMASS_API_KEY=KEY)
        return done.out + done.err

    with started("stream", str(long_clip), "-o", str(tmp_path / "out.mp4"), "--url", url, "-p", '[{"stage": "gray"}]'):
        eventually(lambda: told("list"))
        [session] = told("list")
        assert [part in said("list") for part in (session["id"], "websocket", "gray")] == [True] * 3
        eventually(lambda: "total" in told("show", session["id"])["stats"]["hops"].get("video-0", {}))
        shown = said("show", session["id"])
        assert all(part in shown for part in (session["id"], "gray", "Video ms p50 p95:", "live")), shown
        changed = told("change", session["id"], "-p", '[{"stage": "mirror"}]', "--latency", "3000")
        assert (changed["pipeline"], changed["latency_ms"]) == ([{"stage": "mirror"}], 3000)
        assert "3000 ms" in said("show", session["id"])
        for arguments, refusal in ((("change", session["id"]), "say what"),
                                   (("change", "nobody", "--sync", "lips"), "no session 'nobody'"),
                                   (("--once", "show", session["id"]), "options go behind show"),
                                   (("change", session["id"], "--set", "a=1"), "of none"),
                                   (("transcript", session["id"], "--format", "doc"), "one of txt")):
            assert refusal in " ".join(said(*arguments).replace("│", " ").split())
        assert told("transcript", session["id"])["utterances"] == []
        assert told("counts", session["id"]) == {"zones": [], "lines": []}
        assert told("attendance", session["id"])["visits"] == []
        assert told("tracks", session["id"]) == []
        subtitles = tmp_path / "said.vtt"
        assert str(subtitles) in said("transcript", session["id"], "--format", "vtt", "-o", str(subtitles))
        assert subtitles.read_text().startswith("WEBVTT")
        assert "Nothing was counted." in said("counts", session["id"])
        assert "Nobody was recognised." in said("attendance", session["id"])
        assert told("end", session["id"]) == {"ended": session["id"]}
        eventually(lambda: told("list") == [])
    assert "no session" in said("show", session["id"])


def test_a_picture_is_looked_at(url: str, tmp_path: Path) -> None:
    sign, drawn = tmp_path / "sign.png", tmp_path / "drawn.jpg"
    sign.write_bytes(file(pasted(wall(), code("exit 7"), 300, 100)))

    def at(*arguments: str) -> Done:
        return here(*arguments, AIMASS_URL=url, AIMASS_API_KEY=KEY)

    found = at("vision", "detect", str(sign), "--model", "opencv-codes")
    assert (found.code, "exit 7" in found.out) == (0, True), found.err
    [thing] = json.loads(at("vision", "detect", str(sign), "--model", "opencv-codes", "--json").out)["detections"]
    assert thing["text"] == "exit 7"
    marked = at("vision", "detect", str(sign), "--model", "opencv-codes", "-o", str(drawn))
    assert (marked.out.strip(), drawn.read_bytes()[:2]) == (str(drawn), b"\xff\xd8")
    assert "classification" in at("vision", "classify", str(sign), "--model", "no-such").err
    refused = at("faces", "enrol", "Ada", str(sign), str(sign), "--consent", " ")
    assert (refused.code, "consent" in refused.err) == (1, True)
    assert "Nobody is enrolled." in at("faces", "list").out
    assert at("faces", "forget", "nobody", "--yes").code == 1


def test_what_a_server_is_like(url: str, tmp_path: Path) -> None:
    def at(*arguments: str) -> Done:
        return here(*arguments, AIMASS_URL=url, AIMASS_API_KEY=KEY)

    node = at("node")
    assert (node.code, "ready" in node.out, "0 of 3" in node.out) == (0, True, True), node.err
    assert json.loads(at("node", "--json").out)["max_sessions"] == 3
    assert "mirror" in at("stages").out
    assert [word in at("stages", "blur").out for word in ("sigma", "number from 0")] == [True, True]
    assert json.loads(at("stages", "blur", "--json").out)["name"] == "blur"
    assert at("stages", "no-such").code == 2
    assert json.loads(at("models", "uploads", "--json").out) == []
    assert at("models", "uploads", "--forget", "nobody").code == 1
    assert "built-in" in at("models", "tags").out
    assert at("jobs", "preview", "nobody", "-o", str(tmp_path / "a.jpg")).code == 1


def test_a_file_that_is_there_is_not_written_over_unasked(url: str, clip: Path, tmp_path: Path) -> None:
    taken, kept = tmp_path / "taken.mp4", clip.read_bytes()
    taken.write_bytes(b"precious")
    for out, says, more in ((clip, "the file that is read", ["--force"]), (taken, "--force", [])):
        done = here("stream", str(clip), "--out", str(out), "--url", url, "--api-key", KEY, *more)
        assert done.code == 2
        assert says in done.err
    assert clip.read_bytes() == kept
    assert taken.read_bytes() == b"precious"


@pytest.mark.parametrize(("arguments", "says"), [
    (["--url", NOWHERE], "aimass serve"),
    (["--pipeline", "[{]"], "not JSON"),
    (["--pipeline", '[{"stage": "no such"}]'], "there is no stage 'no such'"),
    (["--pipeline", '[{"stage": "delay", "ms": -5}]'], "delay.ms should be greater than or equal to 0 (pipeline[0])"),
    (["--pipeline", "@/no/such/file"], "No such file"),
    (["--out", "clip.avi"], ".webm"),
    (["--transport", "pigeon"], "ws or webrtc"),
    (["--video", "av1"], "codec should be"),
    (["--api-key", "a wrong key"], "AIMASS_API_KEY"),
])
def test_mistakes_are_answered_with_a_sentence(url: str, clip: Path, tmp_path: Path, arguments: list[str],
                                               says: str) -> None:
    done = here("stream", str(clip), "--out", str(tmp_path / "out.mp4"), "--url", url, "--api-key", KEY, *arguments)
    assert done.code in (1, 2)
    assert says in done.err


def test_a_file_that_holds_nothing_is_said_to(url: str, tmp_path: Path) -> None:
    fake, out = tmp_path / "fake.png", tmp_path / "out.mp4"
    fake.write_text("These are no pixels. " * 100)
    for more in ([], ["--json"]):
        done = here("stream", str(fake), "--out", str(out), "--url", url, "--api-key", KEY, *more)
        assert done.code == 1
        assert "fake.png can be decoded" in " ".join(done.err.split())
        assert done.out == ""
        assert not out.exists()


def test_sessions_of_an_idle_server(url: str) -> None:
    shown = json.loads(here("sessions", "--json", "--url", url, "--api-key", KEY).out)
    assert (shown["node"]["state"], shown["sessions"]) == ("ready", [])
    assert "No sessions now" in here("sessions", "--once", "--url", url, "--api-key", KEY).out
    refused = here("sessions", "--once", "--url", NOWHERE)
    assert refused.code == 1
    assert "aimass serve" in refused.err


def test_load_finds_how_many_sessions_are_admitted(url: str) -> None:
    done = here("load", "--sessions", "6", "--step", "2", "--seconds", "1", "--p95", "5000", "--size", "160x120",
                "--url", url, "--api-key", KEY, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["held"] == 2
    assert "refused: 429" in found["limit"]
    first = found["steps"][0]
    assert first["sessions"] == 2
    assert 0 < first["p50"] <= first["p95"] <= first["p99"] < 5000
    assert first["server_cpu"] > 0
    headers = {"Authorization": f"Bearer {KEY}"}
    eventually(lambda: httpx.get(f"{url}/v1/sessions", headers=headers).json() == {"sessions": []})


def test_doctor_knows_this_machine(tmp_path: Path) -> None:
    done = here("doctor", "--json", AIMASS_DATA_DIR=str(tmp_path / "data"))
    found = json.loads(done.out)
    assert done.code == int(any(entry["state"] == "fail" for entry in found.values()))
    for name in ("Python", "packages", "OpenCV", "VP8", "Opus", "H264", "encoding", "models", "data", "TLS"):
        assert found[name]["state"] in ("ok", "warn"), found[name]
    assert "aiortc 1.16" in found["packages"]["detail"]
    assert "ms a picture" in found["encoding"]["detail"]
    assert re.search(r"cpu: copies [\d.]+ GB/s, matrices [\d.]+ [GT]FLOP/s in float32; a model gets \d+ of \d+ cores",
                     found["processor"]["detail"])
    assert re.match(r"(no )?torch", found["GPU"]["detail"])
    assert "speaks, first sound after" in found["voice"]["detail"]
    assert "Taken: " in found["hearing"]["detail"]
    assert "The Starry Night" in found["painting"]["detail"]
    assert "opencv-faces" in found["sight"]["detail"]
    assert found["cells"]["state"] == "ok"
    assert "Azure" not in found["models"]["detail"]


def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = here("doctor", AIMASS_DATA_DIR=str(blocked / "data"), AIMASS_HOST="0.0.0.0", AIMASS_TLS="no,such")
    assert done.code == 1
    assert "To be done: TLS, access, data" in done.out
    wrong = here("doctor", AIMASS_PORT="ninety")
    assert wrong.code == 2
    assert "AIMASS_PORT" in wrong.err
