"""This machine's microphone and loudspeaker, by `sounddevice` (PortAudio), which is not among our dependencies."""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import numpy as np
import typer

from ..frames import AUDIO_RATE, Samples

PIECE = AUDIO_RATE // 50  # samples, 20 ms
WAITING = 50  # pieces, then the oldest are dropped


def check(*, microphone: bool, speaker: bool) -> None:
    """Ends the command with a sentence where these can't be had."""
    try:
        device = _library()
        if microphone:
            device.query_devices(kind="input")
        if speaker:
            device.query_devices(kind="output")
    except ImportError:
        raise typer.BadParameter("microphone and loudspeaker need sounddevice, which is not installed: "
                                 "pip install sounddevice, or use --file and --out") from None
    except OSError as error:
        raise typer.BadParameter(f"sounddevice is here, and PortAudio, which it needs, is not ({error}): on Debian and "
                                 "Ubuntu apt install libportaudio2, or use --file and --out") from None
    except ValueError as error:  # PortAudioError is none; a missing device is told as ValueError
        raise typer.BadParameter(f"{error}; use --file and --out") from None


def _library() -> ModuleType:
    return importlib.import_module("sounddevice")


class Microphone:
    async def pieces(self) -> AsyncIterator[Samples]:
        """(960, 1) int16, as they are recorded, until it is left."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        waiting: deque[Samples] = deque(maxlen=WAITING)

        def recorded(data: Any, *_: object) -> None:
            waiting.append(np.frombuffer(bytes(data), np.int16)[:, None])
            loop.call_soon_threadsafe(news.set)

        with _library().RawInputStream(AUDIO_RATE, PIECE, channels=1, dtype="int16", callback=recorded):
            while True:
                news.clear()
                while waiting:
                    yield waiting.popleft()
                await news.wait()


class Loudspeaker:
    """Plays what it is given; silence where nothing came in time."""

    def __init__(self) -> None:
        self._waiting: deque[Samples] = deque(maxlen=WAITING)
        self._stream = _library().RawOutputStream(AUDIO_RATE, PIECE, channels=1, dtype="int16", callback=self._wanted)
        self._stream.start()

    def _wanted(self, data: Any, *_: object) -> None:
        piece = self._waiting.popleft() if self._waiting else np.zeros((PIECE, 1), np.int16)
        data[:] = np.resize(piece, (PIECE, 1)).astype(np.int16).tobytes()

    def play(self, samples: Samples) -> None:
        self._waiting.append(samples)

    def close(self) -> None:
        self._stream.close()
