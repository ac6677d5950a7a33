"""Speech into a session, at the pace of speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from aimass_stream.events import Event
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples, now
from aimass_stream.session import Session

FRAME = 960  # samples


def padded(samples: Samples, before: float = 0.3, after: float = 1.2) -> Samples:
    """With silence (s) around it."""
    def silence(seconds: float) -> Samples:
        return np.zeros((round(seconds * AUDIO_RATE), samples.shape[1]), np.int16)

    return np.concatenate([silence(before), samples, silence(after)])


def frames(samples: Samples, *, track: str = "audio-0", start: int = 0) -> list[AudioFrame]:
    """20 ms each; `start` in samples of media time."""
    return [AudioFrame(samples=samples[at : at + FRAME], pts=start + at, time_base=AUDIO_TIME_BASE, track=track)
            for at in range(0, len(samples) - FRAME + 1, FRAME)]


async def paced(number: int, begun: float) -> None:
    """Until it is time for the frame of that number."""
    await asyncio.sleep(max(0.0, begun + number * FRAME / AUDIO_RATE - now()))


async def talk(session: Session, samples: Samples, *, track: str = "audio-0", start: int = 0,
               each: Callable[[int], None] = lambda number: None) -> list[AudioFrame]:
    """Push the sound in real time; the frames that were pushed. `each` is called before every frame."""
    said, begun = frames(samples, track=track, start=start), now()
    for number, frame in enumerate(said):
        await paced(number, begun)
        each(number)
        session.push(frame)
    return said


def words_of(events: list[Event]) -> list[str]:
    """All committed words; no event may take any of them back or change their order."""
    committed = [event.data for event in events if event.type == "transcript.committed"]
    words = [word for data in committed for word in data["words"]]
    for before, after in pairwise(words):
        assert before["start"] <= after["start"] + 1e-6
    for data in committed:
        assert data["text"] == " ".join(word["text"] for word in data["words"])
    return [word["text"] for word in words]
