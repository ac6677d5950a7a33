"""The browser extension, as a file to download: made of what lies in web/, as it lies there."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, Response

from .. import __version__
from .pages import ROOT

router = APIRouter(include_in_schema=False)

FOLDER = ROOT / "extension"
NAME = "aimass-stream-extension.zip"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # of every file in it, so that the same files make the same archive


def _files() -> Iterator[tuple[str, Path]]:
    """Names in the extension, and where they lie. Browsers want the manifest and its words at the top."""
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            inside = path.relative_to(FOLDER)
            top = inside.parts[0] in ("manifest.json", "_locales")
            yield (inside if top else Path("extension") / inside).as_posix(), path
    shared = (ROOT / "adapters" / "media-devices.js", ROOT / "js" / "choices.js")
    for path in (*shared, *sorted((ROOT / "sdk").glob("*.js"))):
        yield path.relative_to(ROOT).as_posix(), path


def pack() -> bytes:
    """The archive, its manifest with this server's version."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in _files():
            body = path.read_bytes()
            if name == "manifest.json":
                body = json.dumps(json.loads(body) | {"version": __version__}, indent=2).encode()
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()


_packed = functools.cache(pack)


@router.api_route("/adapters/extension.zip", methods=["GET", "HEAD"])
def extension() -> Response:
    """For "Load unpacked". A plain function: it reads files."""
    return Response(_packed(), media_type="application/zip", headers={
        "Content-Disposition": f'attachment; filename="{NAME}"', "Cache-Control": "no-cache"})
