"""What the assistant of a room was asked, heard anew where the recogniser guesses: as a command, if it is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import numpy as np

from ..errors import AimassError
from ..frames import AudioFrame
from ..hearing.commands import CommandEar
from ..inference import Engine
from ..settings import Settings
from ..speech.audio import ToHearing
from ..speech.grammar import Phrase
from ..speech.words import Waveform

log = logging.getLogger(__name__)

PATIENCE = 6.0  # s that a question waits for this, the first one for the decoders to be begun, too


async def command_in(sound: Sequence[AudioFrame], phrases: Sequence[Phrase], engine: Engine, settings: Settings
                     ) -> str | None:
    """The command's words; None where it is none, or that can't be told."""
    try:
        async with asyncio.timeout(PATIENCE):
            ear = await CommandEar.open(engine, settings, phrases)
            command = await ear.decide(await asyncio.to_thread(_wave, sound))
    except (AimassError, TimeoutError) as error:
        log.info("a question is taken as it was heard: %s", error or "it was not decoded in time")
        return None
    return None if command is None else command.text


def _wave(sound: Sequence[AudioFrame]) -> Waveform:
    hearing = ToHearing()
    return np.concatenate([*(hearing(frame) for frame in sound), hearing.flush()])
