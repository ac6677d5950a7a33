"""Media files in and out, read back by the same code and by PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.client.files import FileReader, FileWriter
from aimass_stream.errors import InvalidInput, InvalidMedia
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame
from tests.support.media_files import numbers, write_clip


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_a_clip_survives_each_container(suffix: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", seconds=1)
    reader = FileReader(path)
    assert (reader.video, reader.audio) == (True, True)
    assert reader.duration == pytest.approx(1, abs=0.05)
    assert numbers(path) == list(range(30))
    pictures = [frame.seconds for frame in reader.pictures()]
    assert pictures == pytest.approx([number / 30 for number in range(30)], abs=0.002)
    sound = list(reader.sound())
    assert [frame.pts for frame in sound] == [index * 960 for index in range(len(sound))]
    assert sum(frame.duration for frame in sound) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_files_of_sound_alone(suffix: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", seconds=1)
    reader = FileReader(path)
    assert (reader.video, reader.audio) == (False, True)
    samples = np.concatenate([frame.samples for frame in reader.sound()])
    assert np.abs(samples[4800:-4800].astype(float)).mean() == pytest.approx(np.abs(clips.tone(1)).mean(), rel=0.1)


def test_missing_sound_is_silence_and_changing_sizes_are_fitted(tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    tone = clips.tone(0.02)
    with FileWriter(path, expect={"audio", "video"}) as writer:
        for index in [*range(10), *range(30, 40)]:
            writer.write(AudioFrame(pts=index * 960, time_base=AUDIO_TIME_BASE, track="a", samples=tone))
            size = (320, 240) if index < 10 else (160, 120)
            writer.write(VideoFrame(pts=index * 3000, time_base=VIDEO_TIME_BASE, track="v",
                                    picture=Picture.from_bgr(clips.draw(index, *size))))
        writer.write(VideoFrame(pts=0, time_base=VIDEO_TIME_BASE, track="v",  # runs backwards: left out
                                picture=Picture.from_bgr(clips.draw(99, 320, 240))))
    assert numbers(path) == [*range(10), *range(30, 40)]
    samples = np.concatenate([frame.samples for frame in FileReader(path).sound()])
    assert len(samples) / 48_000 == pytest.approx(0.8, abs=0.03)
    assert np.abs(samples[14_400:24_000]).mean() < 100 < np.abs(samples[2000:8000]).mean()


def test_large_and_turned_pictures_are_made_upright_and_small_enough(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "large.mp4", seconds=0.2, width=640, height=360)
    frame = next(FileReader(path, max_width=200, max_height=200).pictures())
    assert (frame.width, frame.height) == (200, 112)
    assert clips.read_number(frame.bgr) == 0
    turned = tmp_path / "turned.mp4"
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    frame = next(FileReader(turned).pictures())
    assert (frame.width, frame.height) == (360, 640)


def test_what_is_no_media_file(tmp_path: Path) -> None:
    nonsense = tmp_path / "clip.mp4"
    nonsense.write_bytes(b"not a film" * 100)
    with pytest.raises(InvalidMedia, match="can't be read"):
        FileReader(nonsense)
    with pytest.raises(InvalidInput, match=r"\.webm"):
        FileWriter(tmp_path / "clip.avi", expect={"video"})
    with pytest.raises(InvalidInput, match="no pictures"):
        FileWriter(tmp_path / "clip.wav", expect={"video"})
    with pytest.raises(InvalidInput, match="there is no folder"):
        FileWriter(tmp_path / "no such folder" / "clip.mp4", expect={"video"}).close()


def test_damage_in_the_middle_costs_only_the_damaged_pictures(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", seconds=1)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    middle = at + (len(data) - at) * 2 // 3
    data[middle : middle + 200] = b"\xa5" * 200
    path.write_bytes(data)
    got = [number for number in numbers(path) if number is not None]
    assert len(got) >= 10
    assert got == sorted(got)
    path.write_bytes(data[: len(data) // 2])  # an mp4 without its end can't even be opened
    with pytest.raises(InvalidMedia):
        FileReader(path)
