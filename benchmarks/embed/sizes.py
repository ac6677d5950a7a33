"""The section on sizes: what a page has to load of the SDK and of each adapter, as gzip."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import zopfli.gzip

from aimass_stream.api.small import small

from ..aims import Aim
from ..servers import HERE
from ..speech.section import NONE, Result, table

ROOT = HERE.parent
SDK, ADAPTER = 20_000, 3_000  # bytes
NOT_MADE = "the package could not be made: npm ci in web"
LATER = frozenset({"socket.js", "coding.js", "sound-worklet.js"})  # loaded where a websocket is taken


def run(quick: bool) -> Result:
    found = {"served": {path.name: sent(path.read_bytes()) for path in modules(ROOT / "web" / "sdk")},
             "adapters": {path.name: sent(path.read_bytes()) for path in modules(ROOT / "web" / "adapters")}}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "node_modules" / "aimass-stream"
        try:
            subprocess.run([sys.executable, str(ROOT / "tools" / "make_sdk.py"), str(target)], check=False, timeout=300,
                           capture_output=True)  # too large is an error to it, and a figure to us
        except (OSError, subprocess.SubprocessError) as error:
            return found | {"package": {}, "packed": {}, "error": f"{type(error).__name__}: {error}"[:300]}
        package, packed = ({path.name: zipped(path.read_bytes()) for path in modules(folder)}
                           for folder in (target, target / "adapters"))
        return found | {"package": package, "packed": packed}


def modules(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.js"))


def zipped(module: bytes) -> int:
    return len(gzip.compress(module, 9))


def sent(module: bytes) -> int:
    return len(zopfli.gzip.compress(small(module)))


def aims(result: Result) -> list[Aim]:
    whole, served = (sum(result[name].values()) for name in ("package", "served"))
    found = [Aim(f"SDK <= {SDK / 1000:g} kB, as gzip", kilobytes(whole) if whole else NOT_MADE,
                 whole <= SDK if whole else None),
             Aim(f"SDK <= {SDK / 1000:g} kB as servers serve it", kilobytes(served), served <= SDK)]
    text = f"each adapter <= {ADAPTER / 1000:g} kB as servers serve it"
    judged = result["adapters"] | result["packed"]
    if not judged:
        return [*found, Aim(text, "there are none", None)]
    name, most = max(judged.items(), key=lambda one: one[1])
    return [*found, Aim(text, f"{kilobytes(most)} ({name})", most <= ADAPTER)]


def kilobytes(size: int) -> str:
    return f"{size / 1000:.1f} kB"


def tell(result: Result) -> str:
    rows: list[list[object]] = []
    for title, package, served in (("SDK", result["package"], result["served"]),
                                   ("adapter", result["packed"], result["adapters"])):
        for name in served:
            rows.append([title, name, package.get(name, NONE), served[name],
                         "websocket" if name in LATER else "always"])
    for title, without in (("all of the SDK", frozenset()), ("of it, where WebRTC gets through", LATER)):
        both = [sum(size for name, size in result[which].items() if name not in without)
                for which in ("package", "served")]
        rows.append([title, "", both[0] or NONE, both[1], ""])
    return ("Each module by itself as gzip, in bytes: of the npm package, which esbuild makes small (`gzip -9`), and "
            "as servers serve them, without comments, with short private names, packed by zopfli. Nothing is "
            "bundled.\n\n"
            + table(["", "module", "package", "served", "loaded"], rows))
