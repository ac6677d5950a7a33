"""The npm package of the browser SDK: its size, its types, and its modules in a page."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from aimass_stream.api.pages import ROOT, SMALL

from ..support.sdk import run, sdk_page
from .conftest import Visit
from .test_sdk import CAMERA, MIRROR, until_mirrored

make_sdk: Any = ModuleType("make_sdk")
make_sdk.__file__ = str(ROOT.parent / "tools" / "make_sdk.py")
SourceFileLoader("make_sdk", make_sdk.__file__).exec_module(make_sdk)

CONSTANT = re.compile(r"^ *const ([A-Z][A-Z_]*) = ([\d_.]+);", re.MULTILINE)

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
    for file in re.findall(r"node_modules/aimass-stream/(\S+)", (package / "README.md").read_text()):
        assert (package / file).is_file()


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
    assert run(guest, "return (await trouble(session.update([]))).error") == "ClosedError"  # the class is renamed


def test_its_source_maps_lead_back(package: Path) -> None:
    for module in package.glob("*.js"):
        found = json.loads(module.with_name(f"{module.name}.map").read_text())
        assert found["sourcesContent"] == [(ROOT / "sdk" / module.name).read_text()]
        assert len(found["mappings"]) > 10


def test_bundlers_drop_what_a_page_does_not_use(package: Path) -> None:
    assert bundled(package, "connect") > 4 * bundled(package, "capture")
    assert bundled(package, "PROTOCOL") < 200


def bundled(package: Path, name: str) -> int:
    """Bytes of a page's script that takes one thing out of the package."""
    entry = package.parents[1] / f"{name}.js"
    entry.write_text(f'import {{ {name} }} from "aimass-stream"; console.log({name});')
    done = subprocess.run([make_sdk.ESBUILD, entry, "--bundle", "--minify", "--format=esm", "--log-level=warning"],
                          cwd=entry.parent, capture_output=True, timeout=60, check=True)
    assert not done.stderr
    return len(done.stdout)


def test_servers_serve_the_same_code_as_small(server: str, tmp_path: Path) -> None:
    """Without what only people read each is the same to a compiler; together they are within the limit."""
    size = 0
    for folder in SMALL:
        modules = sorted((ROOT / folder).glob("*.js"))
        served = [tmp_path / module.name for module in modules]
        for module, place in zip(modules, served, strict=True):
            answer = httpx.get(f"{server}/{folder}/{module.name}", headers={"Accept-Encoding": "gzip"})
            size += int(answer.headers["content-length"]) if folder == "sdk" else 0
            place.write_bytes(answer.content)
        assert compiled(served) == compiled(modules)
    assert size <= make_sdk.LIMIT


def compiled(modules: list[Path]) -> dict[str, str]:
    """As esbuild writes them, with constants in their places and numbers for private names."""
    found = {}
    for module in modules:
        code = module.read_text()
        places = [f"--define:{name}={value.replace('_', '')}" for name, value in CONSTANT.findall(code)]
        done = subprocess.run(
            [make_sdk.ESBUILD, "--minify-whitespace", "--minify-syntax", "--format=esm", "--loader=js", *places],
            input=CONSTANT.sub("", code), capture_output=True, text=True, check=True)
        assert not done.stderr
        found[module.name] = numbered(done.stdout)
    return found


def numbered(text: str) -> str:
    names = list(dict.fromkeys(re.findall(r"\.#(\w+)", text)))
    return re.sub(r"#(\w+)", lambda name: f"#{names.index(name[1])}" if name[1] in names else name[0], text)


def test_no_text_has_the_private_name_of_its_module_in_it() -> None:
    """What makes them small would change it."""
    for folder in SMALL:
        for module in (ROOT / folder).glob("*.js"):
            text = module.read_text()
            for name in set(re.findall(r"\.#(\w+)", text)):
                named = len(re.findall(rf"#{name}\b", text))
                code = len(re.findall(rf"(?:\.|^ *(?:static |async |get |set )?)#{name}\b", text, re.MULTILINE))
                assert named == code, f"{module.name}: #{name}"
