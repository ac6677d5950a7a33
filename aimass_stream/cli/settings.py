"""`aimass settings`: every option, its value now and what it means."""

from __future__ import annotations

import typer


def settings() -> None:
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
    table = Table("Environment variable", "Now", "Meaning", box=None, pad_edge=False)
    for name, field in Settings.model_fields.items():
        value = getattr(current, name)
        shown = "(set)" if not field.repr and value is not None else str(value)
        table.add_row(f"AIMASS_{name.upper()}", shown, field.description or "")
    Console().print(table)
