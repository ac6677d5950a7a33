"""What a picture is of, or what a thing in it is like: a network of the catalogue with one chance for each label.

Its manifest has the task ``classification`` (whole pictures) or ``attributes`` (things that a detector found), one
picture as input (`input` says how it goes in; mostly ``fit = "crop"``) and one output (1, n). Its ``[options]`` say::

    labels = [...]        n words, or the name of one of its files with a word a line
    activation = "softmax"  what turns outputs into chances: softmax, sigmoid (each label by itself) or none
    of = ["person"]       attributes: which things they are of
    group = "clothing"    attributes: what the labels tell; without it the model's name
    margin = 0.1          attributes: so much more of the picture on each side, in parts of the box
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput, InvalidPipeline, ModelFailed
from ..inference import Entry, ModelStore
from ..inference.loader import named
from ..vision.boxes import Floats
from ..vision.heads import Outputs, sigmoid
from ..vision.labels import labels_of
from ..vision.overlay import Mark
from .input import PictureInput

TASK, ATTRIBUTES = "classification", "attributes"
ACTIVATIONS = ("softmax", "sigmoid", "none")
LIST_BYTES = 1 << 20  # of a file of labels
LINE = 14  # lines of this height fit into a picture


@dataclass(frozen=True, slots=True)
class Class:
    label: str
    score: float  # 0 to 1

    def json(self) -> dict[str, object]:
        return {"label": self.label, "score": round(self.score, 3)}


class Classifier:
    """Made of a manifest; `input.prepare` and `read` are pure and belong in a thread."""

    def __init__(self, entry: Entry) -> None:
        """Raises `InvalidInput` that names what in the manifest does not make a classifier."""
        self.name, self.title = entry.name, entry.title
        self.options = entry.options
        self.labels = _labels(entry)
        self.activation = entry.options.get("activation", ACTIVATIONS[0])
        if self.activation not in ACTIVATIONS:
            raise InvalidInput(f"{entry.name}: activation is one of {', '.join(ACTIVATIONS)}",
                               field="options.activation")
        if len(entry.outputs) != 1:
            raise InvalidInput(f"{entry.name}: one output is expected, not {len(entry.outputs)}", field="outputs")
        wide = entry.outputs[0].shape[-1] if entry.outputs[0].shape else None
        if wide not in (None, len(self.labels)):
            raise InvalidInput(f"{entry.name} answers {wide} classes, and its list has {len(self.labels)} labels",
                               field="options.labels")
        self.input = PictureInput(entry)

    def read(self, outputs: Outputs) -> Floats:
        """The chances (n,) of all labels. Raises `ModelFailed` for an answer that has none."""
        values = np.asarray(next(iter(outputs.values())), np.float32)
        if values.size != len(self.labels):
            raise ModelFailed(f"{self.name} answers {'×'.join(map(str, values.shape))}, and its list has "
                              f"{len(self.labels)} labels")
        values = values.reshape(-1)
        if not np.isfinite(values).all():
            raise ModelFailed(f"{self.name} answers what are no numbers: its weights may be damaged")
        if self.activation == "softmax":
            powers = np.exp(values - values.max())
            return np.asarray(powers / powers.sum(), np.float32)
        return sigmoid(values) if self.activation == "sigmoid" else np.asarray(np.clip(values, 0, 1), np.float32)

    def best(self, chances: Floats, most: int, least: float) -> list[Class]:
        """The likeliest first, at most so many, none less likely than `least`."""
        order = np.argsort(-chances, kind="stable")[:most]
        return [Class(self.labels[row], float(chances[row])) for row in order if chances[row] >= least]


def marks_of(classes: Sequence[Class], height: int) -> list[Mark]:
    """A line for each in the corner of a picture of that height, px."""
    step = height / LINE
    return [Mark((step / 3, step / 3 + row * step, 0, 0), f"{each.label} {each.score:.0%}", row, framed=False)
            for row, each in enumerate(classes)]


def classifiers(store: ModelStore, task: str = TASK, model: str = "") -> list[Entry]:
    """The best first, as their cards say (`accuracy`). With `model` also that one, if it is a version of the hub."""
    found = [entry for entry in named(store, model) if entry.task == task]
    return sorted(found, key=lambda entry: (-float(entry.card.get("accuracy", 0)), entry.name))


def choose(store: ModelStore, model: str = "", task: str = TASK) -> Entry:
    """The one of that name; without one the best there is. Raises `InvalidPipeline`."""
    there = classifiers(store, task, model)
    for entry in there:
        if model in ("", entry.name):
            return entry
    if not there:
        raise InvalidPipeline(f"there is no model for {task}: put a folder with a network and its model.toml "
                              f'(task = "{task}") into one of AIMASS_MODEL_DIRS', field="model")
    raise InvalidPipeline(f"there is no model {model[:64]!r} for {task}; there are: "
                          f"{', '.join(entry.name for entry in there)}", field="model")


def _labels(entry: Entry) -> tuple[str, ...]:
    given = entry.options.get("labels")
    if not isinstance(given, str) or given not in {item.path for item in entry.files}:
        return labels_of(entry.options)
    path = entry.folder / given
    if not path.is_file() or path.stat().st_size > LIST_BYTES:
        raise InvalidInput(f"{entry.name}: {given} is missing or larger than {LIST_BYTES >> 20} MiB", field="files")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(f"{entry.name}: {given} is no text", field="options.labels") from None
    return labels_of({"labels": [line.strip() for line in lines if line.strip()]})
