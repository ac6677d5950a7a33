"""`aimass`: a table of commands. A command's module is read for its options; what it works with, it imports itself."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, cast

import typer

from .. import __version__

COMMANDS = {  # name -> "module:function"
    "serve": "serve:serve",
    "dev": "dev:dev",
    "stream": "stream:stream",
    "talk": "talk:talk",
    "camera": "camera:camera",
    "join": "join:join",
    "rooms": "join:rooms",
    "sessions": "sessions:sessions",
    "load": "load:load",
    "doctor": "doctor:doctor",
    "login": "login:login",
    "logout": "login:logout",
    "account": "account:account",
    "models": "hub:models",
    "predict": "predict:predict",
    "batch": "batch:batch",
    "vision": "vision:vision",
    "node": "looking:node",
    "stages": "looking:stages",
    "faces": "vision:faces",
    "jobs": "jobs:jobs",
    "keys": "people:keys",
    "users": "people:users",
    "teams": "teams:teams",
    "audit": "teams:audit",
    "usage": "usage:usage",
    "apps": "apps:apps",
    "requests": "requests:requests",
    "train": "train:train",
    "settings": "settings:settings",
    "completion": "completion:completion",
    "backup": "backup:backup",
    "restore": "backup:restore",
}

SERVING = ("serve", "dev")  # drain themselves when they are ended

# httpx asks whether it has them: its own command, and HTTP/2, which no server of ours speaks. A seventh of a second
SPARED = ("httpx._main", "h2")


def build(names: list[str]) -> typer.Typer:
    """The command line with these commands; one that can't be imported fails only when it is asked for."""
    app = typer.Typer(name="aimass", help="AI models as a service for live media.", no_args_is_help=True,
                      pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

    @app.callback()
    def root(version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True,
                                          callback=_version)) -> None:
        """AI models as a service for live media."""

    for name in names:
        module, _, function = COMMANDS[name].partition(":")
        found = getattr(importlib.import_module(f".{module}", __package__), function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _completed() -> list[str]:
    """The command whose arguments a shell asks about, once it is written out."""
    line, at = os.environ.get("_TYPER_COMPLETE_ARGS", ""), os.environ.get("COMP_CWORD", "")
    words = (os.environ.get("COMP_WORDS") or line).split()
    return words[1:2] if len(words) > 2 or line.endswith(" ") or (at.isdecimal() and int(at) > 1) else []


def main() -> None:
    """Run the command of this process."""
    from ..errors import AimassError
    from .common import refuse
    from .ending import as_by_ctrl_c

    for needless in SPARED:
        sys.modules.setdefault(needless, cast(Any, None))
    named = [word for word in (_completed() if "_AIMASS_COMPLETE" in os.environ else sys.argv[1:2]) if word in COMMANDS]
    if not set(named) & set(SERVING):
        as_by_ctrl_c()
    try:
        build(named or list(COMMANDS))(prog_name="aimass")  # also of `python -m aimass_stream`
    except AimassError as error:
        refuse(error)
        raise SystemExit(1) from None

