"""`aimass models rekey`: another key for what is encrypted at rest."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import AsJson, print_json, refuse
from .tables import bar, table

if TYPE_CHECKING:
    from ..hub.rekeying import Outcome
    from ..settings import Settings
    from .tables import Told


def rekey(
    data_dir: Annotated[Path | None, typer.Option(help="The server's folder.")] = None, as_json: AsJson = False,
) -> None:
    """Encrypt models anew, with the first key of AIMASS_MODEL_KEY, that have another of them; also beside a server."""
    from ..errors import AimassError
    from .launch import settings_of

    settings = settings_of({} if data_dir is None else {"data_dir": data_dir})
    if not settings.database and not settings.data_dir.is_dir():
        raise typer.BadParameter(f"there is no folder {settings.data_dir}", param_hint="--data-dir")
    try:
        with bar(quiet=as_json, bytes=False) as told:
            outcomes = asyncio.run(_work(settings, told))
    except AimassError as error:
        refuse(error)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("Stopped. What was done is kept: the same command goes on with the rest.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        print_json({"versions": outcomes})
    else:
        table(("Version", "State", "Why"), [(each.version, each.state, each.reason) for each in outcomes],
              "Nothing is encrypted here.")
    raise typer.Exit(int(any(each.state == "left" for each in outcomes)))


async def _work(settings: Settings, told: Told) -> list[Outcome]:
    from ..accounts.audit import Audit
    from ..hub.rekeying import Rekeying
    from ..ports import ROLES, Caller
    from ..signing import sealing_keys
    from ..store.blobs import open_blobs
    from ..store.database import open_database
    from ..store.sealed import Keys

    keys = Keys(sealing_keys(settings.model_key) if settings.model_key else ())
    keys.current()
    database, outcomes = await open_database(settings), []
    try:
        caller = Caller("aimass models rekey", role="admin", scopes=ROLES["admin"])
        blobs = await open_blobs(settings, "hub-files")
        async for outcome, count in Rekeying(database, blobs, keys, Audit(database), caller).run():
            outcomes.append(outcome)
            told("versions", len(outcomes), count)
    finally:
        await database.close()
    return outcomes
