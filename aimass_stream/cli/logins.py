"""Servers that `aimass login` knows, each with a key: a file that nobody else may read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import typer


def path() -> Path:
    """In the user's folder of settings: ~/.config/aimass on Linux."""
    return Path(typer.get_app_dir("aimass")) / "login.json"


def server() -> str | None:
    """Where it was last."""
    found = _read().get("server")
    return found if isinstance(found, str) else None


def key(url: str) -> str | None:
    """The key for a server, which no other server is shown."""
    found = _of(url).get("key")
    return found if isinstance(found, str) else None


def key_id(url: str) -> str | None:
    """The id of a key that `aimass login` made."""
    found = _of(url).get("id")
    return found if isinstance(found, str) else None


def remember(url: str, key: str | None, key_id: str | None) -> Path:
    kept = _read()
    entry = {name: value for name, value in (("key", key), ("id", key_id)) if value}
    _write({"server": url, "keys": _keys(kept) | {url: entry}})
    return path()


def forget(url: str) -> None:
    kept = _read()
    keys = {each: entry for each, entry in _keys(kept).items() if each != url}
    _write(({} if kept.get("server") in (url, None) else {"server": kept["server"]}) | {"keys": keys})


def _of(url: str) -> dict[str, Any]:
    entry = _keys(_read()).get(url.rstrip("/"))
    return entry if isinstance(entry, dict) else {}


def _keys(kept: dict[str, Any]) -> dict[str, Any]:
    keys = kept.get("keys")
    return keys if isinstance(keys, dict) else {}


def _read() -> dict[str, Any]:
    try:
        kept = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(kept: dict[str, Any]) -> None:
    write_own(path(), json.dumps(kept, indent=2))


def write_own(target: Path, text: str) -> None:
    """As a whole or not at all, and at no moment readable by others."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(target)
