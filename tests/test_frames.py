import av
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.frames import VIDEO_TIME_BASE, Picture, VideoFrame


def test_pixels_survive_the_way_to_i420_and_back() -> None:
    scene = clips.draw(1)
    smooth = Picture.from_i420(Picture.from_bgr(scene).i420).bgr
    assert np.abs(smooth.astype(int) - scene).mean() < 3  # grain loses chroma resolution


def test_full_range_video_keeps_its_colours() -> None:
    blue, green, red = 40, 120, 220
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # BT.601, full range
    full = av.VideoFrame(64, 64, "yuvj420p")
    for plane, value in zip(full.planes, (luma, 128 + (blue - luma) * 0.564, 128 + (red - luma) * 0.713), strict=True):
        plane.update(bytes([round(value)]) * plane.buffer_size)
    assert np.abs(Picture.from_av(full).bgr.astype(int) - (blue, green, red)).max() <= 2


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_are_cut_to_even(size: tuple[int, int]) -> None:
    picture = Picture.from_bgr(np.zeros((size[1], size[0], 3), np.uint8))
    assert (picture.width, picture.height) == (size[0] & ~1, size[1] & ~1)
    assert picture.i420.shape == (picture.height * 3 // 2, picture.width)
    odd = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), format="bgr24")
    assert (Picture.from_av(odd).width, Picture.from_av(odd).height) == (picture.width, picture.height)


def test_a_frame_with_new_pixels_keeps_its_times_and_notes() -> None:
    frame = VideoFrame(pts=90, time_base=VIDEO_TIME_BASE, track="video-0", picture=Picture.from_bgr(clips.draw(1)))
    frame.notes["detect"] = 3
    other = frame.with_bgr(frame.bgr[:, ::-1])
    assert (other.pts, other.arrived, other.notes) == (frame.pts, frame.arrived, {"detect": 3})
    assert other.seconds == 0.001
