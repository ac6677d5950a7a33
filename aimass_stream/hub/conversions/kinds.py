"""The kinds of conversion: which formats each takes, what may be said to it, and whether what it needs is here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from ...errors import InvalidInput, Unavailable

Name: TypeAlias = Literal["onnx", "int8", "half", "prune", "shards", "encrypt"]

PACKAGE = "pip install 'aimass-stream[{extra}]'"


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    type: Literal["number", "integer", "boolean", "string"]
    default: Any
    description: str
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()

    def value(self, given: Any) -> Any:
        """Raises `InvalidInput`."""
        kinds = {"number": (int, float), "integer": (int,), "boolean": (bool,), "string": (str,)}[self.type]
        right = isinstance(given, kinds) and (self.type == "boolean" or not isinstance(given, bool))
        if not right or (self.choices and given not in self.choices):
            wanted = f"one of {', '.join(self.choices)}" if self.choices else f"of the type {self.type}"
            raise InvalidInput(f"{self.name} is {wanted}", field=f"options.{self.name}")
        if self.type in ("number", "integer") and not self.least <= given <= self.most:
            raise InvalidInput(f"{self.name} is {self.least:g} to {self.most:g}", field=f"options.{self.name}")
        return given


@dataclass(frozen=True, slots=True)
class Kind:
    name: Name
    description: str
    takes: tuple[str, ...]  # formats
    needs: dict[str, tuple[str, str]]  # by format: a module, and the extra that brings it
    options: tuple[Option, ...] = ()
    exact: bool = False  # what was measured of the version's quality holds for the result as well

    def install(self, format: str) -> str:
        """The command that brings what is missing for this format, "" where all is here."""
        module, extra = self.needs.get(format, ("", ""))
        if not module or find_spec(module) is not None:
            return ""
        return PACKAGE.format(extra=extra)

    def check(self, format: str) -> None:
        """Raises `InvalidInput` for a format that it does not take, `Unavailable` where something is missing."""
        if format not in self.takes:
            raise InvalidInput(f"{self.name} takes {' and '.join(self.takes)}, and this version is {format or 'empty'}",
                               field="kind")
        command = self.install(format)
        if command:
            raise Unavailable(f"{self.name} of {format} needs what is not installed here: {command}", install=command)

    def chosen(self, options: dict[str, Any]) -> dict[str, Any]:
        """All options with their values. Raises `InvalidInput` for one that is not known or not so."""
        known = {each.name: each for each in self.options}
        for name in options:
            if name not in known:
                raise InvalidInput(f"{self.name} has no option {name[:40]!r}; it has: {', '.join(known) or 'none'}",
                                   field=f"options.{name[:40]}")
        return {name: each.value(options[name]) if name in options else each.default for name, each in known.items()}


ONNX, CONVERT = "onnx", ("onnx", "convert")  # a format; the module and the extra for it
PLAIN = (ONNX, "safetensors", "caffe", "tensorflow", "darknet", "skops", "ctranslate2")

KINDS: dict[Name, Kind] = {kind.name: kind for kind in (
    Kind("onnx", "Weights of a built-in architecture as an ONNX file, which needs no torch to run.", ("safetensors",),
         {"safetensors": ("torch", "torch")},
         (Option("opset", "integer", 17, "version of ONNX's operators", 13, 20),), exact=True),
    Kind("int8", "Weights as 8-bit whole numbers, inputs made so at each run (dynamic quantisation): a quarter of the "
         "size, faster where multiplying matrices is most of the work.", (ONNX,), {ONNX: CONVERT},
         (Option("per_channel", "boolean", False, "a scale for each column: nearer to the original, a little slower"),
          Option("reduce_range", "boolean", False, "7 bits: nearer on processors without VNNI"),
          Option("convolutions", "boolean", False, "these, too: smaller, and on most processors slower"))),
    Kind("half", "Weights as 16-bit floats: half the size. Inputs, outputs and arithmetic stay 32-bit floats, so it is "
         "as fast as before.", (ONNX, "safetensors"), {ONNX: CONVERT}),
    Kind("prune", "The smallest weights become zero. The zeros lie anywhere (unstructured): the file packs better, and "
         "neither size nor speed change by that.", (ONNX, "safetensors"), {ONNX: CONVERT},
         (Option("share", "number", 0.5, "of the weights that become zero", 0.01, 0.99),
          Option("across", "string", "tensor", "that share of each tensor, or of the model as a whole",
                 choices=("tensor", "model")))),
    Kind("shards", "The weights in several files, each of at most so many megabytes; safetensors with an index as "
         "Hugging Face's Hub has it. What reads the whole reads these.", (ONNX, "safetensors"), {ONNX: CONVERT},
         (Option("megabytes", "number", 500, "of a file, in millions of bytes", 0.001, 16_000),), exact=True),
    Kind("encrypt", "The files encrypted at rest, by AES-256-GCM with the server's key (AIMASS_MODEL_KEY): they are "
         "plain in memory alone, while they are loaded or sent to who may read them.", PLAIN, {}, exact=True),
)}
