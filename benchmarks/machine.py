"""What the figures were measured on, in words that fit any machine."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import psutil

from aimass_stream import __version__

from .servers import HERE

TOLD = ("aiortc", "av", "aioice", "fastrtc", "pipecat-ai", "streamlit-webrtc", "streamlit", "numpy", "uvloop")
OURS_TOLD = ("aiortc", "av", "uvloop")


def describe(peers: list[str]) -> dict[str, Any]:
    return {
        "cpu": _cpu(), "cores": psutil.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, {_distribution()}",
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "ours": {"aimass-stream": __version__, **{name: importlib.metadata.version(name) for name in OURS_TOLD}},
        "peers": {peer: _locked(peer) for peer in peers if peer != "ours"},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _locked(peer: str) -> dict[str, str]:
    text = (HERE / "peers" / peer / "requirements.txt").read_text()
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    return {name: pins[name] for name in TOLD if name in pins}
