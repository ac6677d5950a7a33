"""What things in a picture are like: a second network looks at each of them, not in every picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..errors import InvalidInput
from ..frames import Pixels
from ..inference import Batch, Entry
from ..vision.boxes import Floats
from .classifier import Class, Classifier
from .detector import Thing

AGAIN = 1.0  # s from one look at a thing that is followed to the next
AT_ONCE = 4  # things that a network looks at in one picture
KEEP = 0.6  # of the chances before, in those that count
LEAST = 0.5  # chance from which it is told
FORGOTTEN = 5.0  # s without a look after which a thing is another one

Ask: TypeAlias = Callable[[str, Batch], Awaitable[Batch]]  # a model by its name
Run: TypeAlias = Callable[..., Awaitable[Any]]  # a function with its arguments, in a thread


class Attributes:
    """Of the things of one track: `look` when pictures are looked at, `of` for what is known of a thing."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        """Raises `InvalidInput` that names what in a manifest is wrong."""
        self._models = [(Classifier(entry), _kinds(entry)) for entry in entries]
        self._known: dict[tuple[str, int], tuple[float, Floats]] = {}  # by model and thing: when, and the chances
        self._loose: dict[tuple[str, tuple[float, ...]], Floats] = {}  # of things without an id, by their box

    def __bool__(self) -> bool:
        return bool(self._models)

    def forget(self) -> None:
        """What is found from now on is something else."""
        self._known.clear()
        self._loose.clear()

    async def look(self, picture: Pixels, things: Sequence[Thing], seconds: float, ask: Ask, run: Run) -> None:
        """Look at things in a BGR picture whose turn it is. Raises what `ask` raises."""
        self._known = {key: known for key, known in self._known.items() if seconds - known[0] <= FORGOTTEN}
        self._loose = {}
        for model, kinds in self._models:
            for thing in self._due(model.name, [thing for thing in things if thing.label in kinds], seconds):
                part = _part(picture, thing.box, float(model.options.get("margin", 0.1)))
                batch, _, _ = await run(model.input.prepare, part)
                chances: Floats = await run(model.read, await ask(model.name, batch))
                if not thing.id:
                    self._loose[model.name, thing.box] = chances
                    continue
                _, before = self._known.get((model.name, thing.id), (0.0, chances))
                self._known[model.name, thing.id] = seconds, KEEP * before + (1 - KEEP) * chances

    def of(self, thing: Thing) -> dict[str, list[Class]]:
        """What is known of it, by group: the likeliest label, or all that apply where each stands for itself."""
        told = {}
        for model, _ in self._models:
            _, chances = self._known.get((model.name, thing.id), (0.0, self._loose.get((model.name, thing.box))))
            if chances is not None:
                most = len(model.labels) if model.activation == "sigmoid" else 1
                found = model.best(chances, most, LEAST)
                if found:
                    told[str(model.options.get("group", model.name))] = found
        return told

    def json(self, thing: Thing) -> dict[str, Any]:
        """What a result has of it: nothing, or ``attributes`` by group."""
        told = {group: [each.json() for each in found] for group, found in self.of(thing).items()}
        return {"attributes": told} if told else {}

    def words(self, thing: Thing) -> str:
        """The same in a few words, to stand behind its label."""
        found = [each.label for group in self.of(thing).values() for each in group]
        return f" {', '.join(found)}" if found else ""

    def _due(self, model: str, things: Sequence[Thing], seconds: float) -> list[Thing]:
        """Those longest not looked at."""
        waiting = [(self._known[model, thing.id][0] if (model, thing.id) in self._known else float("-inf"), thing)
                   for thing in things if not thing.predicted]
        due = [(when, thing) for when, thing in waiting if seconds - when >= AGAIN]
        return [thing for _, thing in sorted(due, key=lambda each: (each[0], -each[1].score))[:AT_ONCE]]


def _kinds(entry: Entry) -> frozenset[str]:
    kinds = entry.options.get("of")
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise InvalidInput(f"{entry.name}: of must be a list of the labels whose attributes it tells",
                           field="options.of")
    return frozenset(kinds)


def _part(picture: Pixels, box: tuple[float, float, float, float], margin: float) -> Pixels:
    """The box of a picture with some room around it, at least a pixel."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    wide, high = (right - left) * margin, (bottom - top) * margin
    first = (min(width - 1, max(0, int(left - wide))), min(height - 1, max(0, int(top - high))))
    last = (max(first[0] + 1, min(width, int(np.ceil(right + wide)))),
            max(first[1] + 1, min(height, int(np.ceil(bottom + high)))))
    return np.ascontiguousarray(picture[first[1] : last[1], first[0] : last[0]])
