"""The npm package of the browser SDK: its size, its types, and its modules in a page."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aimass_stream.api.pages import ROOT

from ..support.sdk import run, sdk_page
from .conftest import Visit
from .test_sdk import CAMERA, MIRROR, until_mirrored

make_sdk: Any = ModuleType("make_sdk")
make_sdk.__file__ = str(ROOT.parent / "tools" / "make_sdk.py")
SourceFileLoader("make_sdk", make_sdk.__file__).exec_module(make_sdk)

pytestmark = [pytest.mark.browser,
              pytest.mark.skipif(not make_sdk.TSC.exists(), reason="tsc is not here: npm ci in web")]

USE = """
import { connect, capture, patientRetry, ServerError, type Session } from "aimass-stream";

const session: Session = await connect({
  url: "https://localhost:8000",
  token: async () => "a token",
  pipeline: [{ stage: "background", mode: "blur" }],
  fallback: "black",
  transport: "auto",
  signal: new AbortController().signal,
  retry: (attempt, error) => (attempt > 9 ? null : patientRetry(attempt, error)),
});
const [camera] = (await capture({ video: true })).getVideoTracks();
const processed: MediaStreamTrack = session.process(camera!);
session.on("transcript.committed", ({ data, pts }) => { const words: string = data.text; void [words, pts]; });
session.on("frame.result", ({ data: { notes }, pts }) => void [notes, pts]);
session.on("governor.stepped", ({ data }) => void data.before.length);
session.on("epoch", ({ previous }) => void previous?.lastSeq);
session.on("away", ({ kind, away }) => void [kind === "video", away]);
try {
  await session.update([{ stage: "mirror" }]);
} catch (error) {
  if (error instanceof ServerError) void [error.reason, error.next, error.field];
}
const { server } = await session.stats();
void [processed, server?.hops];
// @ts-expect-error there is no such event
session.on("transcript.comitted", () => undefined);
// @ts-expect-error nor such a transport
await connect({ url: "", transport: "pigeon" });
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm") / "node_modules" / "aimass-stream"
    assert make_sdk.make(folder) <= make_sdk.LIMIT
    return folder


def test_its_types_are_for_who_writes_typescript(package: Path) -> None:
    folder = package.parents[1]
    (folder / "use.ts").write_text(USE)
    done = subprocess.run(
        [make_sdk.TSC, "--noEmit", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "esnext",
         "--moduleResolution", "bundler", "--lib", "es2023,dom,dom.iterable", "--types", "", "use.ts"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    told = json.loads((package / "package.json").read_text())
    assert (package / told["types"]).is_file()
    assert "dependencies" not in told


def test_its_modules_work_as_they_are(visit: Visit, server: str, package: Path) -> None:
    guest = visit(permissions=["camera", "microphone"])
    asked: list[str] = []

    def from_package(name: str) -> Path:
        asked.append(name)
        return package / name

    guest.page.route("**/sdk/*.js", lambda route: route.fulfill(
        path=from_package(route.request.url.rsplit("/", 1)[1]), content_type="text/javascript"))
    sdk_page(guest, server)
    assert {"aimass-stream.js", "session.js", "peer.js"} <= set(asked)
    assert not {"socket.js", "coding.js"} & set(asked)  # only where WebRTC is blocked
    run(guest, CAMERA + MIRROR.replace("begin({", "begin({ transport: 'websocket',"))
    until_mirrored(guest, True)
    run(guest, "await session.close()")
    assert {"socket.js", "coding.js"} <= set(asked)


def test_its_source_maps_lead_back(package: Path) -> None:
    """The first name of a line that was indented is found where the source has it."""
    lines = (package / "emitter.js").read_text().splitlines()
    found = json.loads((package / "emitter.js.map").read_text())
    source = found["sourcesContent"][0].splitlines()
    state, led = [0, 0, 0], 0  # source, line, column
    for line, mapping in zip(lines, found["mappings"].split(";"), strict=False):
        column = 0
        for place, segment in enumerate(filter(None, mapping.split(","))):
            numbers = decode(segment)
            column += numbers[0]
            state = [before + step for before, step in zip(state, numbers[1:4], strict=True)]
            word = re.match(r"[#\w]+", line[column:])
            if place == 0 and word:
                assert source[state[1]][state[2]:].startswith(word[0])
                led += 1
    assert led > 8


def decode(segment: str) -> list[int]:
    """The numbers of a source map's segment (base 64 VLQ)."""
    numbers, value, shift = [], 0, 0
    for digit in segment:
        bits = make_sdk.DIGITS.index(digit)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            numbers.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return numbers
