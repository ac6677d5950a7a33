"""`aimass doctor`: what this machine can do and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .common import AsJson, print_json

if TYPE_CHECKING:
    from .checks import Finding


def doctor(as_json: AsJson = False) -> None:
    """Look at what this machine can do and what is missing. Ends with 1 if something has to be done."""
    from pydantic import ValidationError

    from ..settings import Settings
    from .cells import cells
    from .checks import CHECKS, Check, Finding
    from .sight import painting, sight

    def examine(check: Check) -> Finding:
        try:
            return check(settings)
        except Exception as error:  # a broken machine is what this is for: one failing check must not hide the others
            return Finding("fail", f"the check itself failed: {type(error).__name__}: {error}")

    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"AIMASS_{str(first['loc'][0]).upper()}: {first['msg']}") from None
    checks = CHECKS | {"painting": painting, "sight": sight, "cells": cells}
    findings = {name: examine(check) for name, check in checks.items()}
    if as_json:
        print_json({name: {"state": finding.state, "detail": finding.detail, "advice": finding.advice}
                    for name, finding in findings.items()})
    else:
        _print(findings)
    raise typer.Exit(any(finding.state == "fail" for finding in findings.values()))


def _print(findings: dict[str, Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {"ok": ("ok", "green"), "warn": ("note", "yellow"), "fail": ("FAIL", "bold red")}
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    for name, finding in findings.items():
        word, style = marks[finding.state]
        detail = Text(finding.detail)
        if finding.advice:
            detail.append(f"\n{finding.advice}", style="italic")
        table.add_row(Text(word, style=style), name, detail)
    console = Console()
    console.print(table)
    failed = [name for name, finding in findings.items() if finding.state == "fail"]
    console.print(f"\nTo be done: {', '.join(failed)}" if failed else "\nEverything needed is there: aimass serve")
