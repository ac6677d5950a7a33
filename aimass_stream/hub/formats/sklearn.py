"""scikit-learn's estimators as skops keeps them: a zip file whose ``schema.json`` names every type in it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, Unavailable
from .kinds import Found

SCHEMA = "schema.json"
SCHEMA_BYTES = 64 << 20
RATIO, UNJUDGED = 200, 64 << 20  # times the file's size, from so many bytes on
INSTALL = "models of scikit-learn need skops: pip install 'aimass-stream[sklearn]'"


def check(path: Path) -> Found:
    """Raises `InvalidInput`, and `Unavailable` where skops is not installed. What skops does not trust is code."""
    if not zipfile.is_zipfile(path):
        raise InvalidInput(f"{path.name} is no file of skops", field="files")
    with zipfile.ZipFile(path) as opened:
        sizes = {info.filename: info.file_size for info in opened.infolist()}
        if sum(sizes.values()) > max(UNJUDGED, RATIO * path.stat().st_size):
            raise InvalidInput(f"{path.name} is a bomb: it says it has {sum(sizes.values())} bytes", field="files")
        try:
            schema = json.loads(opened.read(SCHEMA)) if sizes.get(SCHEMA, SCHEMA_BYTES) < SCHEMA_BYTES else None
        except (ValueError, RecursionError, zipfile.BadZipFile, OSError):
            schema = None
    if not isinstance(schema, dict):
        raise InvalidInput(f"{path.name} has no {SCHEMA} of skops", field="files")
    try:
        from skops.io import get_untrusted_types
    except ImportError:
        raise Unavailable(INSTALL) from None
    try:
        doubtful = get_untrusted_types(file=path)
    except Exception as error:  # whatever a wrong schema leads to
        raise InvalidInput(f"skops can't read {path.name}: {str(error)[:200]}", field="files") from None
    kinds = sorted(set(_types(schema)))
    facts = {"estimator": str(schema.get("__class__"))[:100], "types": kinds[:50],
             "skops": str(schema.get("_skops_version"))[:20]}
    if doubtful:
        named = ", ".join(doubtful[:5])
        return Found("skops", "", facts=facts, code=f"it has types that skops does not trust: {named}")
    return Found("skops", "sklearn", facts=facts)


def _types(schema: Any) -> Iterator[str]:
    left = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if "__class__" in node:
                yield f"{node.get('__module__')}.{node['__class__']}"[:100]
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
