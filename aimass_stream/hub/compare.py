"""What differs between two versions of a model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..inference.loader import MANIFEST
from .records import Version

MOST = 200  # differences of a kind that are listed
FIGURES = ("parameters", "opset", "tensors", "layers")


def compared(one: Version, other: Version, graph: bytes, other_graph: bytes) -> dict[str, Any]:
    """JSON; `graph` and `other_graph` as they are kept."""
    trials = [version.facts.get("trial") or {} for version in (one, other)]
    files = [{file.path: file.sha256 for file in version.plain if file.path != MANIFEST} for version in (one, other)]
    tensors = [{each["name"]: f"{each['dtype']} {'×'.join(map(str, each['shape']))}" for each in json.loads(text).get(
        "tensors", [])} for text in (graph, other_graph)]
    kinds = [_counted(json.loads(text).get("nodes", [])) for text in (graph, other_graph)]
    return {
        "versions": [one.served, other.served],
        "state": [one.state, other.state], "format": [one.format, other.format], "bytes": [one.size, other.size],
        "figures": {name: [one.facts.get(name), other.facts.get(name)] for name in FIGURES
                    if name in one.facts or name in other.facts},
        "ms": [trial.get("ms") for trial in trials],
        "inputs": _tensors(one, other, "inputs"), "outputs": _tensors(one, other, "outputs"),
        "files": _changes(*files), "weights": _changes(*tensors), "operators": _changes(*kinds),
        "difference": _difference(*trials) if one.manifest.get("example") == other.manifest.get("example") else None}


def _counted(nodes: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node["kind"]] = counts.get(node["kind"], 0) + 1
    return counts


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    return {"added": added[:MOST], "removed": removed[:MOST],
            "changed": {name: [before[name], after[name]] for name in changed[:MOST]}}


def _tensors(one: Version, other: Version, side: str) -> dict[str, Any]:
    told = [{each["name"]: f"{each.get('dtype', 'float32')} {'×'.join(map(str, each['shape']))}"
             for each in version.manifest.get(side, [])} for version in (one, other)]
    return _changes(*told)


def _difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float] | None:
    """Of what both answered in their trials, where that was the same question and small enough to be kept."""
    values = [{each["name"]: each["values"] for each in trial.get("outputs", []) if "values" in each}
              for trial in (one, other)]
    found = {}
    for name in sorted(values[0].keys() & values[1].keys()):
        mine, theirs = np.asarray(values[0][name], float), np.asarray(values[1][name], float)
        if mine.shape == theirs.shape and mine.size:
            found[name] = float(np.abs(mine - theirs).max())
    return found or None
