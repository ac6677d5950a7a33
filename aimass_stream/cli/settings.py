"""`aimass settings`: every option, its value now and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from .common import AsJson, print_json

if TYPE_CHECKING:
    from ..settings import Settings


def settings(as_json: AsJson = False) -> None:
    """List every setting: its environment variable, its value now, and what it means."""
    from pydantic import ValidationError
    from rich.console import Console
    from rich.table import Table

    from ..settings import Settings

    try:
        current = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"AIMASS_{str(first['loc'][0]).upper()}: {first['msg']}") from None
    if as_json:
        print_json({f"AIMASS_{name.upper()}": {"value": _shown(current, name), "meaning": field.description or ""}
                    for name, field in Settings.model_fields.items()})
        return
    table = Table("Environment variable", "Now", "Meaning", box=None, pad_edge=False)
    for name, field in Settings.model_fields.items():
        table.add_row(f"AIMASS_{name.upper()}", str(_shown(current, name)), field.description or "")
    Console().print(table)


def _shown(current: Settings, name: str) -> Any:
    """Not what is secret."""
    value = current.model_dump(mode="json", include={name})[name]
    return "(set)" if not type(current).model_fields[name].repr and value is not None else value
