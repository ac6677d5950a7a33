"""The files that `aimass camera` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.cli import camera_sinks
from aimass_stream.cli.camera_sinks import writer_to
from aimass_stream.cli.camera_sources import PIECE, opened
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame


def test_files_are_as_long_as_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    monkeypatch.setattr(camera_sinks, "now", lambda: passed)
    out, voice = tmp_path / "out.y4m", tmp_path / "voice.s16"
    writer = writer_to(str(out), str(voice), "", width=320, height=180, fps=30)

    def came(number: int) -> None:
        writer.write(VideoFrame(pts=3000 * number, time_base=VIDEO_TIME_BASE, track="video-0",
                                picture=Picture.from_bgr(clips.draw(number, 320, 180))))

    def heard(start: int) -> None:
        writer.write(AudioFrame(pts=start, time_base=AUDIO_TIME_BASE, track="audio-0",
                                samples=np.full((PIECE, 1), 1000, np.int16)))

    passed = 10 / 30
    for number in (1, 2, 5, 5, 4, 6):
        came(number)
    heard(3 * PIECE)
    heard(4 * PIECE)
    heard(8 * PIECE)
    came(1 << 40)  # of a time that did not come yet
    writer.hold()
    writer.close(11.5 / 30)
    shown = opened(str(out), width=320, height=180, fps=30, seconds=None).pictures()
    seen = [clips.read_number(np.ascontiguousarray(each.bgr[:, :, 1])) for each in shown]
    assert seen[:10] == [1, 1, 2, 2, 2, 5, 6, 6, 6, 6]
    assert len(seen) == 12
    samples = np.frombuffer(voice.read_bytes(), np.int16)
    assert [bool(piece[0]) for piece in samples[: 9 * PIECE].reshape(9, PIECE)] == [
        False, False, False, True, True, False, False, False, True]
    assert len(samples) == round(12 / 30 * AUDIO_RATE)
    assert writer.written == {"video": 7, "audio": 3}
