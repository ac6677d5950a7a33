"""A model's folder: fetched whole or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import Conflict, NotFound, Unavailable
from .catalogue import WeightFile, Weights
from .hub import Hub, Progress

MANIFEST = "model.toml"

State: TypeAlias = Literal["ready", "partial", "absent"]


def state(weights: Weights, folder: Path) -> State:
    if (folder / weights.name / MANIFEST).is_file():
        return "ready"
    return "partial" if _part(folder, weights).is_dir() else "absent"


async def pull(weights: Weights, folder: Path, hub: Hub, told: Progress = lambda done, total: None) -> Path:
    """Fetch what is missing and put it in its place; answers the model's folder.

    Cancelling it keeps what has arrived for the next time. Raises `Unavailable` when the hub does not answer or
    answers something else than was meant, `Conflict` when another process fetches the same.
    """
    target, part = folder / weights.name, _part(folder, weights)
    if state(weights, folder) == "ready":
        return target
    with _alone(folder, weights):
        files = await hub.files(weights)
        _check_room(folder, files, part)
        part.mkdir(parents=True, exist_ok=True)
        sizes = [file.size for file in files]
        total = sum(size or 0 for size in sizes) if all(size is not None for size in sizes) else None
        whole = 0
        checked = []
        for file in files:
            place = part / file.path
            await hub.fetch(weights, file, place, _behind(whole, total, told))
            checked.append(await asyncio.to_thread(_check, place, file))
            whole += checked[-1].size or 0
        await asyncio.to_thread(_finish, weights, tuple(checked), part, target)
        told(whole, whole)
    return target


def _behind(before: int, total: int | None, told: Progress) -> Progress:
    """Progress of one file as that of all."""
    return lambda done, _: told(before + done, total)


def _part(folder: Path, weights: Weights) -> Path:
    return folder / f".{weights.name}.part"


@contextmanager
def _alone(folder: Path, weights: Weights) -> Iterator[None]:
    """For this model, among all processes. The lock's file is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{weights.name}.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                raise BlockingIOError  # another one had it until now and took the file away
        except BlockingIOError:
            raise Conflict(f"{weights.name} is being fetched already") from None
        try:
            yield
        finally:
            path.unlink()  # while it is still ours


def _check_room(folder: Path, files: tuple[WeightFile, ...], part: Path) -> None:
    there = sum(file.stat().st_size for file in part.iterdir()) if part.is_dir() else 0
    needed = sum(file.size or 0 for file in files) - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Unavailable(f"{needed >> 20} MiB are needed and {free >> 20} MiB are free in {folder}")


def _check(place: Path, file: WeightFile) -> WeightFile:
    """The file with its size and SHA-256. One that is not what was meant is thrown away."""
    size = place.stat().st_size
    with place.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    wrong = ""
    if file.size is not None and size != file.size:
        wrong = f"it has {size} bytes instead of {file.size}"
    elif file.sha256 is not None and digest != file.sha256:
        wrong = f"its SHA-256 is {digest} instead of {file.sha256}"
    elif not digest.startswith(file.begins):
        wrong = f"its SHA-256 is {digest}, which does not begin with {file.begins}"
    elif file.sha256 is None and file.git is not None and _git(place, size) != file.git:
        wrong = "it is not the one that the hub lists"
    if wrong:
        place.unlink()
        raise Unavailable(f"{file.path} is not the file that was meant: {wrong}. It was thrown away.")
    return replace(file, size=size, sha256=digest)


def _git(place: Path, size: int) -> str:
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    digest.update(place.read_bytes())
    return digest.hexdigest()


def _finish(weights: Weights, files: tuple[WeightFile, ...], part: Path, target: Path) -> None:
    (part / MANIFEST).write_text(manifest(weights, files), encoding="utf-8")
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if target.exists():  # without a manifest: nobody's model
        shutil.rmtree(target)
    os.replace(part, target)


def manifest(weights: Weights, files: tuple[WeightFile, ...]) -> str:
    """The card of pulled weights as TOML."""
    lines = [
        f"name = {_toml(weights.name)}", f"version = {_toml(weights.revision[:12] or '1')}",
        f"title = {_toml(weights.title)}", f"task = {_toml(weights.purpose)}", f"licence = {_toml(weights.licence)}",
        f"sources = [{_toml(weights.source)}]", f"description = {_toml(weights.description)}",
        f"engine = {_toml(weights.engine)}", "inputs = []", "outputs = []"]
    for file in files:
        lines += ["", "[[files]]", f"path = {_toml(file.path)}", f"size = {file.size}",
                  f"sha256 = {_toml(file.sha256)}"]
    lines += ["", "[card]", "general = true", f"pulled = {_toml(datetime.now(UTC).isoformat(timespec='seconds'))}",
              f"languages = [{', '.join(map(_toml, weights.languages))}]", ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string


def remove(weights: Weights, folder: Path) -> None:
    """Raises `NotFound` when none of it is there."""
    there = [path for path in (folder / weights.name, _part(folder, weights)) if path.is_dir()]
    if not there:
        raise NotFound(f"{weights.name} is not here", field="name")
    for path in there:
        shutil.rmtree(path)
