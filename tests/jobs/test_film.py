"""Video files of all kinds through the painting child's own code."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from aimass_stream import clips
from aimass_stream.errors import AimassError, InvalidMedia, TooLarge
from aimass_stream.frames import Pixels
from aimass_stream.inference import installed
from aimass_stream.jobs import Preview, Progress
from aimass_stream.jobs.film import Bounds, look, paint
from aimass_stream.jobs.footage import Window
from aimass_stream.jobs.report import heard
from aimass_stream.painting.steady import warp_error
from tests.support import styles
from tests.support.video_files import shown, write_video

BOUNDS = Bounds(60, 1920)
EVEN = tuple(range(0, 600, 100))  # ms


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("styles")
    styles.write(folder, "style-udnie", seed=2, title="Udnie")
    store, before = installed(), installed().folders
    store.folders = (folder,)
    yield folder
    store.folders = before


def painted(source: Path, shelf: Path, bounds: Bounds = BOUNDS, **params: Any) -> tuple[Path, Progress, list[Preview]]:
    """The result, the last that was told of it, and its previews."""
    result = source.with_name("painted.mp4")
    told = [Progress(0)]
    previews = []
    with result.open("w+b") as out, source.open("rb") as given:
        for piece in paint(out.fileno(), given.fileno(), {"name": "udnie"} | params, [str(shelf)], None, bounds):
            said = heard(piece)
            if isinstance(said, Preview):
                previews.append(said)
            else:
                assert said.share >= told[-1].share
                told.append(said)
    return result, told[-1], previews


def looked(source: Path, bounds: Bounds = BOUNDS) -> dict[str, Any]:
    with source.open("rb") as given:
        return dict(json.loads(b"".join(look(given.fileno(), bounds))))


def gap(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_a_clip_is_painted_with_its_own_timing_and_sound(tmp_path: Path, shelf: Path) -> None:
    times = (0, 33, 66, 250, 283, 600, 1000)  # ms: a phone in the dark
    source = write_video(tmp_path / "clip.mp4", times, sound="aac")
    assert looked(source) == {"width": 160, "height": 120, "seconds": pytest.approx(1.0, abs=0.1), "sound": True}
    result, told, previews = painted(source, shelf)
    before, after = shown(source), shown(result)
    assert [at for at, _ in after] == pytest.approx([at / 1000 for at in times], abs=0.001)
    assert all(gap(one, other) > 8 for (_, one), (_, other) in zip(before, after, strict=True))
    assert (told.share, told.message) == (1.0, "7 pictures")
    assert told.facts == {"pictures": 7, "sound": "copied", "broken": 0, "cut_off": False}
    assert Image.open(io.BytesIO(previews[0].jpeg)).size == (160, 120)
    assert sounds(source) == sounds(result)  # byte by byte


def sounds(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def test_sound_that_players_of_mp4_do_not_know_is_written_anew(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "clip.webm", EVEN, codec="libvpx", sound="libopus")
    result, told, _ = painted(source, shelf)
    assert told.facts["sound"] == "encoded"
    with av.open(str(result)) as file:
        heard_again = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    tone = heard_again[4800:14400]
    assert len(heard_again) == pytest.approx(0.5 * 48_000, abs=3000)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert np.argmax(spectrum) * 48_000 / len(tone) == pytest.approx(440, abs=10)


def test_at_strength_nothing_nothing_is_changed(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", EVEN)
    result, told, _ = painted(source, shelf, strength=0)
    assert told.facts["sound"] == "none"
    for (_, one), (_, other) in zip(shown(source), shown(result), strict=True):
        assert gap(one, other) < 2


@pytest.mark.parametrize(("full", "space", "most"), [(True, "ITU601", 2), (False, "ITU601", 2), (False, "ITU709", 5)])
def test_colours_of_all_ranges_and_spaces_stay(full: bool, space: str, most: int, tmp_path: Path, shelf: Path) -> None:
    """Flat fields, so that only the conversions count; BT.709 becomes BT.601, which rounds twice."""
    fields = ((30, 40, 200), (60, 180, 30), (220, 60, 40), (250, 250, 250), (5, 5, 5), (128, 128, 128), (20, 200, 240))
    picture = np.repeat(np.array([fields], np.uint8), 32, 1).reshape(1, -1, 3).repeat(64, 0)
    size = (picture.shape[1], picture.shape[0])
    source = write_video(tmp_path / "flat.mp4", EVEN, size=size, pictures=[picture], full=full, space=space)
    result, _, _ = painted(source, shelf, strength=0)
    middle = (32, slice(16, None, 32))
    one, other = shown(source)[-1][1][middle].astype(int), shown(result)[-1][1][middle].astype(int)
    assert np.abs(one - other).max() <= most
    assert np.abs(one - np.array(fields)).max() <= 6  # the file is what it was meant to be


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_phone_that_was_held_otherwise(turned: int, tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "turned.mp4", EVEN, turned=turned)
    told = looked(source)
    assert (told["width"], told["height"]) == ((120, 160) if turned % 180 else (160, 120))
    result, _, _ = painted(source, shelf, strength=0)
    wanted = np.rot90(clips.draw(3, 160, 120), -turned // 90)
    assert gap(shown(result)[3][1], np.asarray(wanted)) < 8


def test_odd_sides_lose_a_line_and_large_ones_are_shrunk(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "odd.webm", EVEN, size=(161, 121), codec="libvpx")
    result, _, _ = painted(source, shelf)
    assert shown(result)[0][1].shape == (120, 160, 3)
    small, _, _ = painted(source, shelf, Bounds(60, 80))
    assert shown(small)[0][1].shape == (60, 80, 3)


def test_still_parts_stay_as_they_are_painted(tmp_path: Path, shelf: Path) -> None:
    """Noise that nobody sees would come out of the network as flicker."""
    rng, scene = np.random.default_rng(1), clips.draw(0, 160, 120)
    noisy = [np.clip(scene + rng.normal(0, 2, scene.shape), 0, 255).astype(np.uint8) for _ in EVEN]
    source = write_video(tmp_path / "noise.mp4", EVEN, pictures=noisy)
    steady, flicker = (
        warp_error((before[3][1], before[4][1]), (after[3][1], after[4][1])).made
        for before, after in ((shown(source), shown(painted(source, shelf, steady=wanted)[0]))
                              for wanted in (True, False)))
    assert steady < 0.5 * flicker


def test_a_file_that_was_cut_off_is_painted_up_to_there(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "cut.mkv", range(0, 4000, 100), codec="libx264")
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    result, told, _ = painted(source, shelf)
    assert told.facts["cut_off"]
    assert 5 < len(shown(result)) < 38


def test_what_is_broken_in_between_is_left_out(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "broken.mkv", range(0, 2000, 100), codec="mpeg4")
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    source.write_bytes(data)
    result, told, _ = painted(source, shelf)
    assert told.facts["pictures"] == len(shown(result)) >= 8


def files(folder: Path) -> dict[str, tuple[Path, type[AimassError], str]]:
    clip = write_video(folder / "clip.mp4", EVEN, sound="aac")
    made = {name: folder / name for name in ("none", "words", "cut.mp4", "list.m3u8", "single.png")}
    made["none"].write_bytes(b"")
    made["words"].write_bytes(b"these are words" * 100)
    made["cut.mp4"].write_bytes(clip.read_bytes()[:-400])  # its index is at the end
    made["list.m3u8"].write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n")
    Image.new("RGB", (64, 64)).save(made["single.png"])
    with av.open(str(folder / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(clips.tone(0.5).T.copy(), "s16", "mono")
        frame.sample_rate = 48_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return {"an empty file": (made["none"], InvalidMedia, "no video file"),
            "words": (made["words"], InvalidMedia, "no video file"),
            "no index": (made["cut.mp4"], InvalidMedia, "no video file"),
            "a list of other files": (made["list.m3u8"], InvalidMedia, "no video file|no picture|no moving"),
            "a single picture": (made["single.png"], InvalidMedia, "single picture"),
            "sound": (folder / "sound.mp4", InvalidMedia, "no moving pictures")}


def test_files_that_are_none(tmp_path: Path, shelf: Path) -> None:
    for source, kind, told in files(tmp_path).values():
        with pytest.raises(kind, match=told):
            looked(source)
        with pytest.raises(kind, match=told):
            painted(source, shelf)


def test_files_that_are_too_long_or_large(tmp_path: Path, shelf: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", EVEN)
    for function in (lambda: looked(source, Bounds(0.2, 640)), lambda: painted(source, shelf, Bounds(0.2, 640))):
        with pytest.raises(TooLarge, match=r"0.2 s"):
            function()
    vast = write_video(tmp_path / "vast.mkv", (0, 100), size=(5000, 4000), codec="mjpeg", full=True,
                       pictures=[np.zeros((4000, 5000, 3), np.uint8)])
    with pytest.raises(TooLarge, match="5000x4000 px"):
        looked(vast)


def test_two_who_read_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as opened:
        one, other = Window(opened.fileno()), Window(opened.fileno())
        assert (one.read(3), other.read(5), one.read(2)) == (b"012", b"01234", b"34")
        assert (other.seek(-2, os.SEEK_END), other.read(), other.read(4)) == (8, b"89", b"")
        assert (one.seek(1, os.SEEK_CUR), one.read(1), one.tell()) == (6, b"6", 7)
