"""Which parameters name models, and of which tasks: said once, at the field that takes the name.

    model: Annotated[str, ModelOf("detection", "face-detection")] = Field("")

Whoever has to do with such names (the hub, which has a version in place of each; forms; pages) reads it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from ..errors import InvalidInput
from .loader import Entry


def _nothing(said: str) -> bool:
    return False


def _fits(entry: Entry) -> str:
    return ""


class ModelOf:
    """Metadata of a field whose value is a model's name."""

    def __init__(self, *tasks: str, own: Callable[[str], bool] = _nothing, words: bool = False,
                 several: bool = False, unfit: Callable[[Entry], str] = _fits) -> None:
        """`tasks`: the first is the one that "auto" is for. `own` are values that the field takes by itself and no
        model of the hub is looked for, as a directory; `words`: people may write what is no name; `several`: names with
        commas between. `unfit` says why a model of the right task can't run there; nothing if it can.
        """
        self.tasks, self.own, self.words, self.several, self.unfit = tasks, own, words, several, unfit

    def check(self, entry: Entry) -> None:
        """Raises `InvalidInput` that says which task is wanted, or what else is wrong."""
        if entry.task not in self.tasks:
            raise InvalidInput(f"{entry.name} is a model for {entry.task[:64] or 'nothing that it says'}; one for "
                               f"{' or '.join(self.tasks)} is wanted here", field="model")
        why = self.unfit(entry)
        if why:
            raise InvalidInput(f"{entry.name} can't run here: {why}", field="model")


@cache
def model_fields(params: Any) -> Mapping[str, ModelOf]:
    """The fields of a pydantic model, as a stage's parameters are, that name models."""
    return MappingProxyType({name: each for name, field in params.model_fields.items() for each in field.metadata
                             if isinstance(each, ModelOf)})
