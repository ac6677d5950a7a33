"""PulseAudio, or PipeWire by its pipewire-pulse, asked by `pactl`. It all blocks: run it in a thread."""

from __future__ import annotations

import os
import shutil
import subprocess

from ..errors import InvalidInput, Unavailable

INSTALL = "apt install pulseaudio-utils (for PulseAudio, and for PipeWire with pipewire-pulse)"
VIRTUAL = "aimass"  # the source that `aimass camera` fills
DEFAULT = "default"  # whichever source the desktop has chosen
PATIENCE = 20.0  # s
PLAIN = {"LC_ALL": "C"}  # what the tools say is read here


def pactl(*arguments: str) -> str:
    """What it prints. Raises `Unavailable` where it is missing, or where nobody answers it."""
    if shutil.which("pactl") is None:
        raise Unavailable(f"pactl is not here: {INSTALL}")
    try:
        done = subprocess.run(["pactl", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False,
                              env=os.environ | PLAIN)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"PulseAudio does not answer within {PATIENCE:g} s; does it hang?") from None
    if done.returncode:
        raise Unavailable(f"pactl {arguments[0]} says {done.stderr.strip()!r}. Does PulseAudio or pipewire-pulse run "
                          "for this user?")
    return done.stdout.strip()


def sources() -> list[str]:
    """The names of all that can be recorded, what goes to loudspeakers (`.monitor`) among them."""
    return [line.split("\t")[1] for line in pactl("list", "short", "sources").splitlines()]


def microphone_of(said: str) -> str:
    """The source that is meant. Raises `InvalidInput`, naming those there are, and `Unavailable`."""
    if shutil.which("parec") is None:
        raise Unavailable(f"parec is not here: {INSTALL}")
    there = [name for name in sources() if name != VIRTUAL]
    others = "Here: " + (", ".join(there) or "none; is a microphone plugged in?")
    name = _default() if said == DEFAULT else said
    if name == VIRTUAL:
        raise InvalidInput(f"{VIRTUAL} is the virtual microphone that this command fills, and would hear itself; say "
                           f"another with --microphone NAME. {others}", field="microphone")
    if name not in there:
        which = "a default microphone" if said == DEFAULT else f"a microphone {said}"
        raise InvalidInput(f"PulseAudio does not have {which}. {others}", field="microphone")
    return name


def _default() -> str:
    facts = dict(line.split(": ", 1) for line in pactl("info").splitlines() if ": " in line)
    return facts.get("Default Source", "")
