"""The stage `model` with a network of the engine torch, reached by nothing but its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.frames import VideoFrame
from aimass_stream.inference import Engine, FolderStore, installed
from tests.support import torch_models
from tests.support.context import REGISTRY, Context, video

pytest.importorskip("torch")

pytestmark = pytest.mark.anyio


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[FolderStore]:
    store, before = installed(), installed().folders
    store.add(*torch_models.write(tmp_path).folders)
    yield store
    store.folders = before


async def test_a_picture_is_painted(shelf: FolderStore) -> None:
    context = Context()
    context.engine = Engine(shelf)
    model = REGISTRY.params("model")
    assert model is not None
    stage = REGISTRY.create("model", model.model_validate({"name": "painter", "deadline": 5000}))
    try:
        await stage.start(context)
        frame = video(3, 64, 48)
        answer = await stage.process(frame)
        await stage.close()
    finally:
        await context.engine.close()
    assert isinstance(answer, VideoFrame)
    assert (answer.width, answer.height, answer.pts) == (64, 48, frame.pts)
    assert np.abs(answer.bgr.astype(int) - frame.bgr).mean() > 5
