"""What is found out about a model's files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MOST_NODES = 4000  # of a graph that is kept to be looked at
MOST_TENSORS = 4000


@dataclass(frozen=True, slots=True)
class Tensor:
    """Weights in a file."""

    name: str
    dtype: str  # as the format calls it
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A step of a graph: what kind of step, and the names of what goes in and comes out."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What goes in or out, or lies between; free axes by their name, or "" where they have none."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    tensors: tuple[Tensor, ...] = ()
    nodes: tuple[Node, ...] = ()
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    between: tuple[Value, ...] = ()

    def json(self) -> dict[str, Any]:
        """What can be looked at; of very large ones the beginning, and how much there is."""
        told = asdict(Graph(self.tensors[:MOST_TENSORS], self.nodes[:MOST_NODES], self.inputs[:MOST_TENSORS],
                            self.outputs[:MOST_TENSORS], self.between[:MOST_NODES]))
        count = {"tensors": len(self.tensors), "nodes": len(self.nodes),
                 "bytes": sum(each.bytes for each in self.tensors)}
        return told | {"count": count}


@dataclass(frozen=True, slots=True)
class Found:
    """The model in a folder. `engine` is empty for what is code: it is run nowhere before an admin has looked at it."""

    format: str  # "onnx", "safetensors", "ctranslate2", "caffe", "tensorflow", "darknet", "skops", "torchscript"...
    engine: str  # a name in `engines.ENGINES` or "module:Class"
    graph: Graph = field(default_factory=Graph)
    facts: dict[str, Any] = field(default_factory=dict)  # JSON, for people
    code: str = ""  # why it counts as code; `facts` then have its `file`
    task: str = ""  # where the files tell
