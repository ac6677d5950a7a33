"""What a microphone brings back of a loudspeaker, and what it hears of somebody else."""

from __future__ import annotations

import numpy as np

from aimass_stream.conversation.likeness import ALIKE, STEPS, WINDOW, Outline
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples
from tests.support.speech import speak

PIECE = AUDIO_RATE // STEPS


def pieces(sound: Samples) -> list[AudioFrame]:
    return [AudioFrame(samples=sound[at : at + PIECE], pts=at, time_base=AUDIO_TIME_BASE, track="audio-0")
            for at in range(0, len(sound) - PIECE, PIECE)]


def likenesses(heard: Samples, played: Samples) -> list[float]:
    """In each step, once there is enough to tell."""
    microphone, loudspeaker, found = Outline(), Outline(), []
    for mine, theirs in zip(pieces(heard), pieces(played), strict=False):
        microphone.add(mine)
        loudspeaker.add(theirs)
        found.append(microphone.likeness(loudspeaker))
    assert found[: round(WINDOW * STEPS) - 1] == [0.0] * (round(WINDOW * STEPS) - 1)
    return found[2 * STEPS :]


def in_a_room(sound: Samples, late: float) -> Samples:
    """Quieter, later (s), with the room's echoes and some noise."""
    random = np.random.default_rng(1)
    way = 0.1 * random.normal(0, 1, 4800) * np.exp(-np.arange(4800) / 1200)
    way[0] = 1
    there = 0.2 * np.convolve(sound[:, 0], way)[: len(sound)] + random.normal(0, 20, len(sound))
    return np.concatenate([np.zeros(round(late * AUDIO_RATE)), there]).astype(np.int16)[:, None]


def test_what_was_played_is_known_again_and_another_voice_is_not() -> None:
    played = speak("I can tell the time and the date, calculate, convert units, spell words, and remember notes.")
    other = speak("Well, yesterday I went to the office and asked the others about it, and nobody had an idea.")
    echo, person = likenesses(in_a_room(played, 0.7), played), likenesses(in_a_room(other, 0.0), played)
    assert np.mean([each >= ALIKE for each in echo]) > 0.8
    assert np.mean([each >= ALIKE for each in person]) < 0.1
    assert max(likenesses(np.zeros_like(played), played)) == 0
