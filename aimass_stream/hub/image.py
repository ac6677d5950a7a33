"""A folder that a container is built from, which serves one version of a model and nothing else.

It comes as a tar file, made while it is read: of its parts only the wheel of this package, where it runs from a source
tree, is made before. A release of the package is named instead, and fetched by whoever builds.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tarfile
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from .. import __version__, children
from ..errors import Conflict, Unavailable
from ..inference.loader import MANIFEST, PACKAGE
from ..store.blobs import pieces
from .manifests import toml
from .records import Version

Plain: TypeAlias = Callable[[Version, str], AbstractAsyncContextManager[Path]]

BLOCK = tarfile.BLOCKSIZE
BUILDING = 300.0  # s
# what engines need beside a plain installation
EXTRAS = {"aimass_stream.engines.sklearn:": "sklearn", "aimass_stream.engines.torch_network:": "torch"}
CODE = ("pickle", "torchscript", "pt2", "code")

DOCKERFILE = """\
# Serves the model {name}, version {number}, and nothing else: see README.md
FROM python:3.11-slim-bookworm
# what OpenCV's wheel expects of the system
RUN apt-get update && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \\
    && rm -rf /var/lib/apt/lists/* \\
    && useradd --system --uid 10001 --no-create-home --home-dir /data aimass \\
    && install --directory --owner aimass --mode 700 /data
WORKDIR /app
COPY {first} ./
{wheels}RUN pip install --no-cache-dir {constrained}--requirement requirements.txt
COPY models ./models
ENV PYTHONUNBUFFERED=1 AIMASS_HOST=0.0.0.0 AIMASS_PORT=8000 AIMASS_DATA_DIR=/data AIMASS_MODEL_DIRS=/app/models \\
    AIMASS_PREDICT={name} AIMASS_BUILTIN_MODELS=false AIMASS_BUILTIN_APPS=false AIMASS_FETCH=false AIMASS_WARM=false
USER aimass
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \\
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["aimass", "serve"]
"""

README = """\
# {name}, version {number}

    docker build -t {name} .
    docker run -p 8000:8000 -e AIMASS_API_KEY={key} {name}

Think of a key of your own. Then ask it:

    curl localhost:8000/predict -H 'Authorization: Bearer {key}' \\
         -H 'Content-Type: application/json' -d '{{"input": ...}}'

`GET /predict` says what `input` is. `/v2/models/{name}` speaks the Open Inference Protocol, for `tritonclient` and
others. Settings are environment variables: `docker run --rm {name} aimass settings` lists them.
"""

IGNORED = ".dockerignore\nDockerfile\nREADME.md\n.git\n"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the folder: its content, a file that has it, or one of the version."""

    path: str
    size: int
    content: bytes = b""
    file: Path | None = None
    of: str = ""  # the version's file


@dataclass(slots=True)
class Wheel:
    """Of this package, built once by each server that runs from a source tree."""

    folder: Path
    root: Path = PACKAGE.parent
    _built: Path | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def from_source(self) -> bool:
        return (self.root / "pyproject.toml").is_file()

    async def get(self) -> Path | None:
        """None where a release is installed. Raises `Unavailable` where nothing here can build one."""
        if not self.from_source:
            return None
        async with self._lock:
            if self._built is None or not self._built.is_file():
                self._built = await self._build()
            return self._built

    async def _build(self) -> Path:
        await asyncio.to_thread(shutil.rmtree, self.folder, True)
        command = _builder(self.folder)
        nice = ["nice", "-n", "10"] if shutil.which("nice") else []
        process = await children.start(
            [*nice, *command], cwd=self.root, stdout=children.DEVNULL, stderr=children.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("AIMASS_")})
        assert process.stderr is not None
        try:
            async with asyncio.timeout(BUILDING):
                said = await process.stderr.read()
                await process.wait()
        finally:
            process.kill()
            process.close()
        found = list(self.folder.glob("*.whl"))
        if process.returncode or len(found) != 1:
            raise Unavailable(f"the package's wheel could not be built: {said.decode(errors='replace')[-300:].strip()}")
        return found[0]


def _builder(folder: Path) -> list[str]:
    if importlib.util.find_spec("hatchling") is not None:
        return [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "build", "--wheel", "--out-dir", str(folder)]
    raise Unavailable("this server runs from a source tree, and nothing builds a wheel of it: pip install hatchling")


async def parts(version: Version, wheel: Wheel, plain: Plain) -> list[Part]:
    """What the folder has. Raises `Conflict` for what nobody could run from it, `Unavailable` without its key.

    `plain` gives a version's file as it was sent, as `Hub.plain`."""
    _may(version)
    if version.sealed:  # before the first byte is sent
        async with plain(version, version.files[0].path):
            pass
    manifest = await _manifest(version, plain)
    built = await wheel.get()
    return await asyncio.to_thread(_parts, version, manifest, built, wheel.root)


def _may(version: Version) -> None:
    if version.state != "ready":
        raise Conflict(f"{version.served} is {version.state}", field="version")
    if version.format == "folder":
        raise Conflict(f"{version.name} comes with every installation: AIMASS_PREDICT={version.name} aimass serve",
                       field="version")
    if version.format in CODE or version.facts.get("code"):
        raise Conflict(f"{version.served} is code, which runs in the sandbox of a server that approved it",
                       field="version")


async def _manifest(version: Version, plain: Plain) -> dict[str, Any]:
    """As the version's folder has it; but by the model's name alone, which is its folder's."""
    told = dict(version.manifest)
    if any(file.path == MANIFEST for file in version.files):
        async with plain(version, MANIFEST) as place:
            told = tomllib.loads(await asyncio.to_thread(place.read_text, "utf-8"))
    return {key: value for key, value in told.items() if key != "example"} | {
        "name": version.name, "version": str(version.number)}


def _parts(version: Version, manifest: dict[str, Any], wheel: Path | None, root: Path) -> list[Part]:
    extra = next((extra for engine, extra in EXTRAS.items() if str(manifest["engine"]).startswith(engine)), "")
    marked = f"[{extra}]" if extra else ""
    constraints = root / "constraints.txt" if wheel is not None else None
    constrained = constraints is not None and constraints.is_file()
    said = {"name": version.name, "number": version.number, "key": "change-this-key",
            "first": "requirements.txt constraints.txt" if constrained else "requirements.txt",
            "constrained": "--constraint constraints.txt " if constrained else "",
            "wheels": "COPY wheels ./wheels\n" if wheel is not None else ""}
    needed = f"aimass-stream{marked}=={__version__}" if wheel is None else f"./wheels/{wheel.name}{marked}"
    made = [_text("Dockerfile", DOCKERFILE.format(**said)), _text("README.md", README.format(**said)),
            _text(".dockerignore", IGNORED), _text("requirements.txt", f"{needed}\n"),
            _text(f"models/{version.name}/{MANIFEST}", toml(manifest))]
    if constrained and constraints is not None:
        made.append(_text("constraints.txt", constraints.read_text("utf-8")))
    if wheel is not None:
        made.append(Part(f"wheels/{wheel.name}", wheel.stat().st_size, file=wheel))
    return made + [Part(f"models/{version.name}/{file.path}", file.size, of=file.path)
                   for file in version.plain if file.path != MANIFEST]


def size_of(given: list[Part], version: Version) -> int:
    """Bytes of the tar file."""
    return sum(len(_head(part, version.created)) + -(-part.size // BLOCK) * BLOCK for part in given) + 2 * BLOCK


async def packed(given: list[Part], version: Version, plain: Plain) -> AsyncIterator[bytes]:
    """The tar file; all that is in it is as old as the version."""
    for part in given:
        yield _head(part, version.created)
        if part.of:
            async with plain(version, part.of) as place:
                async for piece in pieces(place):
                    yield piece
        elif part.file is not None:
            async for piece in pieces(part.file):
                yield piece
        else:
            yield part.content
        yield bytes(-part.size % BLOCK)
    yield bytes(2 * BLOCK)


def _head(part: Part, at: float) -> bytes:
    told = tarfile.TarInfo(part.path)
    told.size, told.mtime, told.mode = part.size, int(at), 0o644
    return told.tobuf(tarfile.PAX_FORMAT)


def _text(path: str, text: str) -> Part:
    content = text.encode()
    return Part(path, len(content), content)
