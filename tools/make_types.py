"""Writes web/types/events.d.ts from the events' JSON Schemas, so that the page knows what the server sends.

    python tools/make_types.py            writes the file
    python tools/make_types.py --check    exit status 1 where the file is not what it would write
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from aimass_stream.events import schemas

TARGET = Path(__file__).resolve().parents[1] / "web" / "types" / "events.d.ts"
HEAD = """\
// Made by tools/make_types.py from aimass_stream/events: do not edit.
"""
SIMPLE = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


def typescript(schema: Any) -> str:
    """The TypeScript type of a JSON Schema, as far as pydantic writes them."""
    if not isinstance(schema, dict):
        return "unknown"
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(typescript(option) for option in schema[key]))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"Array<{typescript(schema.get('items'))}>"
    if kind == "object":
        return _object(schema)
    return SIMPLE.get(str(kind), "unknown")


def _object(schema: dict[str, Any]) -> str:
    if "properties" in schema:
        return "{ " + "; ".join(f"{name}: {typescript(part)}" for name, part in schema["properties"].items()) + " }"
    extra = schema.get("additionalProperties")
    return f"Record<string, {typescript(extra) if isinstance(extra, dict) else 'unknown'}>"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def interface(name: str, schema: dict[str, Any]) -> str:
    """An interface, with the descriptions as comments. Servers write every field, so none is optional."""
    lines = []
    if schema.get("description"):
        lines.append(f"/** {' '.join(schema['description'].split())} */")
    lines.append(f"export interface {name} {{")
    for field, part in schema.get("properties", {}).items():
        comment = f" // {' '.join(part['description'].split())}" if part.get("description") else ""
        lines.append(f"  {field}: {typescript(part)};{comment}")
    return "\n".join([*lines, "}"]) + "\n"


def generate() -> str:
    """The text of events.d.ts."""
    parts, helpers, table = [], {}, []
    for name, schema in schemas().items():
        title = str(schema.get("title") or re.sub(r"(^|[._])(\w)", lambda found: found[2].upper(), name))
        helpers.update(schema.get("$defs", {}))
        parts.append(interface(title, schema))
        table.append(f'  "{name}": {title};')
    shared = [interface(name, schema) for name, schema in sorted(helpers.items())]
    events = "/** What each event carries as `data`, by its type. */\nexport interface EventMap {\n" + "\n".join(
        table) + "\n}\n"
    message = ("/** One event as it comes over the data channel or the websocket. */\n"
               "export type ServerEvent = {\n"
               "  [T in keyof EventMap]: {\n"
               "    type: T;\n"
               "    seq: number; // from 1, no gaps in a session\n"
               "    pts: number | null; // s, media time\n"
               "    track: string | null;\n"
               "    data: EventMap[T];\n"
               "  };\n"
               "}[keyof EventMap];\n")
    return "\n".join([HEAD, *shared, *parts, events, message])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file is stale")
    check = parser.parse_args().check
    text = generate()
    if check:
        if not TARGET.is_file() or TARGET.read_text("utf-8") != text:
            sys.stderr.write("web/types/events.d.ts is stale: run python tools/make_types.py\n")
            return 1
        return 0
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
