import cv2
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.frames import Picture


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (1280, 720)])
@pytest.mark.parametrize("number", [0, 1, 0x5555, 0xAAAA, 65_535])
def test_the_number_survives_jpeg_scaling_and_mirroring(size: tuple[int, int], number: int) -> None:
    picture = clips.draw(number, *size)
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    assert ok
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    rough = np.asarray(cv2.resize(decoded, None, fx=0.9, fy=0.9), np.uint8)
    assert clips.read_number(rough) == number
    assert clips.read_number(rough[:, ::-1]) == number
    assert clips.read_number(Picture.from_bgr(picture).i420[: size[1]]) == number


def test_a_picture_without_a_strip_has_no_number() -> None:
    assert clips.read_number(np.zeros((480, 640, 3), np.uint8)) is None


def test_a_tone_has_its_level_and_pitch() -> None:
    samples = clips.tone(1, 1000, -20)[:, 0] / 32768
    assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(-20, abs=0.1)
    assert int(np.argmax(np.abs(np.fft.rfft(samples)))) == 1000
