"""Models that arrive inside npm packages: MediaPipe's TFLite files lie beside its code for browsers.

``web/package-lock.json`` names the packages' exact versions and hashes; ``make run`` and the container have npm fetch
them. Nothing of them is part of this project, so they may be missing, and `read` then says how to get them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..errors import InvalidInput, Unavailable

PACKAGE = Path(__file__).resolve().parent.parent
SOURCES = PACKAGE.parent / "web"  # of a source tree; an installed package has none

# emscripten's file packager writes the files of one .data file into its loader, as the argument of loadPackage
LISTED = re.compile(r"loadPackage\((\{.*?\})\);", re.DOTALL)


def folders() -> list[Path]:
    """Where npm packages may lie, the first one first."""
    return [PACKAGE / "node_modules", SOURCES / "node_modules"]


def installed(package: str) -> bool:
    return _folder(package) is not None


def read(package: str, version: str, path: str, member: str = "") -> bytes:
    """A file of an npm package; with `member`, the file of that name inside the packed assets at `path`.

    Raises `Unavailable` with the command that installs the package, `InvalidInput` if it has no such file.
    """
    folder = _folder(package)
    if folder is None:
        way = command(f"{package}@{version}")
        raise Unavailable(f"the npm package {package} is not installed: {way}", package=package)
    try:
        content = (folder / path).read_bytes()
        if not member:
            return content
        return _member(content, (folder / path).with_name(f"{Path(path).stem}_loader.js"), member)
    except OSError as error:
        raise InvalidInput(f"{package} has no {Path(error.filename).name}", field="npm") from None


def _folder(package: str) -> Path | None:
    return next((folder / package for folder in folders() if (folder / package / "package.json").is_file()), None)


def _member(content: bytes, loader: Path, member: str) -> bytes:
    """What lies in packed assets at the offsets that their loader names; `member` is the end of its path."""
    listed = LISTED.search(loader.read_text(encoding="utf-8"))
    try:
        files = json.loads(listed[1])["files"] if listed else []
        spans = [(int(file["start"]), int(file["end"])) for file in files if file["filename"].endswith(f"/{member}")]
    except (ValueError, KeyError, TypeError):
        spans = []
    if len(spans) != 1 or not 0 <= spans[0][0] < spans[0][1] <= len(content):
        raise InvalidInput(f"{loader.name} names no place of {member} in the packed assets", field="npm.member")
    return content[slice(*spans[0])]


def command(*packages: str) -> str:
    """What installs these, each as name@version."""
    if (SOURCES / "package-lock.json").is_file():
        return "run `npm ci --omit=dev` in web/ (`make run` does that where npm is there)"
    return f"run `npm install --prefix {PACKAGE} {' '.join(packages)}`"
