"""What describes a face: a network of the catalogue, or without one local binary patterns.

A network's manifest has the task ``face-embedding``, one picture as input (`input` says how it goes in; 112x112 px,
eyes level) and one output (1, n). Its ``[options]`` say beside that::

    threshold = 0.36      cosine from which two faces are one person's
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import numpy as np

from ..errors import InvalidInput, InvalidPipeline, ModelFailed
from ..frames import Pixels
from ..inference import Batch, Entry, ModelStore
from ..inference.loader import named
from ..vision.boxes import Floats
from ..vision.faces import patterns
from .gallery import unit
from .input import PictureInput

TASK = "face-embedding"
PATTERNS = "patterns"  # what is taken without weights

Ask: TypeAlias = Callable[[Batch], Awaitable[Batch]]  # the model
Run: TypeAlias = Callable[..., Awaitable[Any]]  # a function with its arguments, in a thread


class Embedder:
    """Made of a manifest, or of None for patterns."""

    def __init__(self, entry: Entry | None = None) -> None:
        """Raises `InvalidInput` that names what in the manifest is wrong."""
        self.name = PATTERNS if entry is None else entry.name
        self.tier = "no-weights" if entry is None else "weights"
        self.least: float | None = None  # likeness from which two faces are one person's; None: the card says none
        self.key = f"{PATTERNS} 1"  # of its vectors: other weights, other vectors
        self.input: PictureInput | None = None
        if entry is not None:
            threshold = entry.options.get("threshold")
            if not isinstance(threshold, int | float) or not 0 < threshold < 1:
                raise InvalidInput(f"{entry.name}: threshold must be a number between 0 and 1",
                                   field="options.threshold")
            self.least, self.input = float(threshold), PictureInput(entry)
            self.key = f"{entry.name} {entry.version} {''.join(item.sha256[:12] for item in entry.files)}"

    async def embed(self, face: Pixels, ask: Ask, run: Run) -> Floats:
        """(values,) of length 1 of a face (112, 112, 3), BGR. Raises what `ask` raises, and `ModelFailed` for an answer
        that describes nothing.
        """
        if self.input is None:
            vector: Floats = await run(patterns, face)
            return vector
        batch, _, _ = await run(self.input.prepare, face)
        outputs = await ask(batch)
        if len(outputs) != 1:
            raise ModelFailed(f"{self.name} answers {', '.join(sorted(outputs))}, and one vector is expected")
        found = np.asarray(next(iter(outputs.values())), np.float32)
        if found.size != found.shape[-1] or found.size < 2:
            raise ModelFailed(f"{self.name} answers {'×'.join(map(str, found.shape))} for a face, and 1×n is expected")
        if not np.isfinite(found).all() or not found.any():
            raise ModelFailed(f"{self.name} answers what are no numbers: its weights may be damaged")
        return unit(found.reshape(-1))


def embedders(store: ModelStore, model: str = "") -> list[Entry]:
    """The best first, as their cards say (`accuracy`). With `model` also that one, if it is a version of the hub."""
    found = [entry for entry in named(store, model) if entry.task == TASK]
    return sorted(found, key=lambda entry: (-float(entry.card.get("accuracy", 0)), entry.name))


def choose(store: ModelStore, model: str = "") -> Embedder:
    """The one of that name; without one, the best network there is, or else patterns. Raises `InvalidPipeline`."""
    there = embedders(store, model)
    if model == PATTERNS or (not model and not there):
        return Embedder()
    for entry in there:
        if model in ("", entry.name):
            return Embedder(entry)
    raise InvalidPipeline(f"there is no model {model[:64]!r} for faces; there are: "
                          f"{', '.join([PATTERNS, *(entry.name for entry in there)])}", field="model")
