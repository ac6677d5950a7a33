from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from aimass_stream.speech.log_mel import log_mel


@pytest.mark.parametrize("samples", [1600, 16_000, 16_077, 131_000])
@pytest.mark.parametrize("bands", [80, 128])
def test_features_are_those_that_whisper_was_trained_on(samples: int, bands: int) -> None:
    library = FeatureExtractor(feature_size=bands)
    audio = np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)
    audio[: samples // 2] *= np.float32(1e-5)  # under the floor
    np.testing.assert_allclose(log_mel(audio, library.mel_filters), library(audio, padding=0), atol=1e-5)


def test_silence() -> None:
    assert np.isfinite(log_mel(np.zeros(4000, np.float32), FeatureExtractor().mel_filters)).all()
