"""Sound files on their way through the sandbox."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from aimass_stream import sandbox
from aimass_stream.errors import InvalidMedia, TooLarge
from aimass_stream.speech.decode import decode
from aimass_stream.speech.words import HEARING_RATE, Waveform
from tests.support import recordings
from tests.support.recordings import encoded, tone

pytestmark = pytest.mark.anyio


async def _decoded(data: bytes, seconds: float = 100) -> Waveform:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        limits = sandbox.Limits(output_bytes=64 << 20)
        number = file.fileno()
        async with aclosing(sandbox.stream(decode, number, seconds, files=[number], limits=limits)) as pieces:
            samples = np.frombuffer(b"".join([piece async for piece in pieces]), "<i2")
            return samples.astype(np.float32) / np.float32(32768)


def _loudness_at(sound: Waveform, frequency: float) -> float:
    """Amplitude of that frequency, 0 to 1."""
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(sound)) / HEARING_RATE)
    return float(2 * abs(np.mean(sound * wave)))


@pytest.mark.parametrize(("container", "codec", "rate", "channels"), [
    ("mp3", "mp3", 44_100, 2), ("ogg", "libopus", 48_000, 1), ("mp4", "aac", 48_000, 2), ("webm", "libopus", 48_000, 1),
])
async def test_any_container_becomes_what_recognisers_take(container: str, codec: str, rate: int,
                                                           channels: int) -> None:
    sound = await _decoded(await asyncio.to_thread(encoded, tone(3, rate, channels), rate, container, codec))
    assert len(sound) == pytest.approx(3 * HEARING_RATE, rel=0.05)
    assert _loudness_at(sound[8000:40_000], 440) == pytest.approx(8000 / 32768, rel=0.1)
    assert _loudness_at(sound[8000:40_000], 1000) < 0.01


async def test_telephone_sound_and_what_plays_longer_than_its_pieces() -> None:
    sound = await _decoded(recordings.wav(tone(9, 8000), 8000))
    assert len(sound) == pytest.approx(9 * HEARING_RATE, abs=200)
    assert _loudness_at(sound[16_000:112_000], 440) == pytest.approx(8000 / 32768, rel=0.05)


@pytest.mark.parametrize("told", [
    {"told_bytes": 0xFFFFFFFF}, {"told_bytes": 3_000_000_000}, {"told_bytes": 0},
])
async def test_a_wav_that_lies_about_its_length_gives_what_is_in_it(told: dict[str, int]) -> None:
    sound = await _decoded(recordings.wav(tone(2), **told), seconds=1_000_000)
    assert len(sound) == pytest.approx(2 * HEARING_RATE, abs=HEARING_RATE // 100)


@pytest.mark.parametrize(("data", "said"), [
    (recordings.wav(tone(2), told_rate=0), "Hz|can be read"),
    (recordings.wav(tone(2), told_rate=4_000_000_000), "Hz|can be read"),
    (recordings.wav(tone(2), told_channels=0), "channels|can be read"),
    (recordings.wav(tone(2), told_channels=60_000), "channels|can be read|no sound"),
    (recordings.zipped(), "no sound or video file"),
    (recordings.silent_film(), "no sound in this file"),
    (b"", "no sound or video file"),
    (b"\xff\xfb\x90\x00" + bytes(100), "no sound"),
    (recordings.wav(tone(0)), "no sound"),
    (recordings.playlist(Path(__file__)), "no sound or video file"),
])
async def test_what_is_no_sound_is_said_to_be_none(data: bytes, said: str) -> None:
    with pytest.raises(InvalidMedia, match=said) as caught:
        await _decoded(data)
    assert caught.value.field == "file"


async def test_ten_hours_are_refused_by_their_header() -> None:
    silence = await asyncio.to_thread(recordings.long_flac, 10)
    with pytest.raises(TooLarge, match=r"36000 s of sound; 14400 s"):
        await _decoded(silence, seconds=14_400)


async def test_what_does_not_say_how_long_it_is_ends_where_it_is_too_long() -> None:
    endless = recordings.wav(tone(20), told_rate=1000)  # its header says 1 kHz: 320 s of sound
    with pytest.raises(TooLarge):
        await _decoded(endless, seconds=60)
    said_less = bytearray(await asyncio.to_thread(recordings.long_flac, 0.2))
    said_less[18:26] = (int.from_bytes(said_less[18:26]) >> 36 << 36 | 8000).to_bytes(8)  # STREAMINFO: 8000 samples
    with pytest.raises(TooLarge, match="more sound"):
        await _decoded(bytes(said_less), seconds=60)


async def test_the_rest_of_a_broken_file_is_kept() -> None:
    whole = bytearray(await asyncio.to_thread(encoded, tone(6, 44_100), 44_100, "mp3", "mp3"))
    middle = len(whole) // 2
    whole[middle : middle + 2000] = np.random.default_rng(3).bytes(2000)
    sound = await _decoded(bytes(whole))
    assert len(sound) > 5 * HEARING_RATE
