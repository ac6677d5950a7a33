"""`aimass models deploy`, `rollback`, `alias`, `history`, `compare`, `auto`: which version serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import versioned
from .tables import amount, facts, moment, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Aliases, Deployment

Name: TypeAlias = Annotated[str, typer.Argument(help="Of the model.", autocompletion=completing.models)]
Alias: TypeAlias = Annotated[str, typer.Option(help="What leads there; production is what the bare name means.")]


def add(models: typer.Typer) -> None:
    for command in (deploy, rollback, alias, history, compare, auto):
        models.command()(command)


def deploy(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Without a version: the newest that is ready.",
                                        autocompletion=completing.versioned)],
    alias: Alias = "production",
    canary: Annotated[int | None, typer.Option(min=1, help="Another version, to be tried on some.")] = None,
    share: Annotated[int, typer.Option(min=0, max=100, help="% of what is new that goes to the canary.")] = 0,
    shadow: Annotated[int | None, typer.Option(min=1, help="A version that is asked, too, and not heard.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Let a version serve. What is new gets it; live sessions keep the one that they began with."""
    if (canary is None) != (share == 0):
        raise typer.BadParameter("a canary has a share: --canary 3 --share 10")
    model, which = versioned(name)

    async def work(client: Client) -> Deployment:
        version = int(which) if which.isdecimal() else (await client.models.version(model, which)).number
        return await client.models.deploy(model, version, alias, canary=canary, share=share, shadow=shadow)

    _say(model, asked(url, api_key, no_verify, work), as_json)


def rollback(name: Name, alias: Alias = "production", url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
             as_json: AsJson = False) -> None:
    """Go back to the version that served before; a canary or a shadow ends first."""
    _say(name, asked(url, api_key, no_verify, lambda client: client.models.roll_back(name, alias)), as_json)


def alias(
    name: Name, alias: Annotated[str, typer.Argument(help="Have this one lead somewhere.")] = "",
    version: Annotated[int | None, typer.Argument(min=1, help="Where to.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Have it lead nowhere.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List the aliases of a model with what came of shadows, set one, or remove one."""
    if (version is not None and remove) or (alias and version is None and not remove) or (remove and not alias):
        raise typer.BadParameter("say NAME, or NAME ALIAS VERSION, or NAME ALIAS --remove")
    if version is not None:
        _say(name, asked(url, api_key, no_verify, lambda client: client.models.deploy(name, version, alias)), as_json)
    elif remove:
        asked(url, api_key, no_verify, lambda client: client.models.withdraw(name, alias))
        if not as_json:
            typer.echo(f"{name}@{alias} leads nowhere now.")
    else:
        _list(asked(url, api_key, no_verify, lambda client: client.models.aliases(name)), as_json)


def history(name: Name, alias: Alias = "production", url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
            as_json: AsJson = False) -> None:
    """Show where an alias led, the newest first."""
    found = asked(url, api_key, no_verify, lambda client: client.models.history(name, alias))
    if as_json:
        print_json(found)
        return
    table(("When", "Version", "Canary", "Shadow", "By"), [
        (moment(each.at), each.version, _canary(each), each.shadow, each.by_name or each.by) for each in found],
        "It led nowhere.")


def compare(name: Name, one: Annotated[str, typer.Argument(help="A version.")],
            other: Annotated[str, typer.Argument(help="Another.")] = "latest", url: Url = URL, api_key: Key = None,
            no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show what differs between two versions, also in what they answer."""
    seen = asked(url, api_key, no_verify, lambda client: client.models.compare(name, one, other))
    if as_json:
        print_json(seen)
        return
    rows = [(what, *seen[key]) for what, key in (("state", "state"), ("format", "format"), ("ms of a run", "ms"))]
    rows += [("size", *map(amount, seen["bytes"])), *((each, *both) for each, both in seen["figures"].items())]
    table(("", *seen["versions"]), rows, "")
    typer.echo("")
    facts(**{title: _changes(seen[what]) for title, what in (
        ("inputs", "inputs"), ("outputs", "outputs"), ("files", "files"), ("shapes_of_weights", "weights"),
        ("operators", "operators"))},
          answers_apart=", ".join(f"{key} by {value:.6g}" for key, value in (seen["difference"] or {}).items()))


def auto(task: Annotated[str, typer.Argument(help="detection, classification, ...")],
         latency: Annotated[float | None, typer.Option(min=0.001, help="ms that it may take.")] = None,
         quality: Annotated[str, typer.Option(help="best, balanced or fast.",
                                              autocompletion=lambda: ["best", "balanced", "fast"])] = "balanced",
         url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Say which model is taken for a task where `auto` is asked for, and why."""
    chosen = asked(url, api_key, no_verify, lambda client: client.models.auto(task, latency_ms=latency,
                                                                              quality=quality))
    if as_json:
        print_json(chosen)
    else:
        typer.echo(f"{chosen.model}: {chosen.reason}")


def _say(name: str, made: Deployment, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    more = [f"{_canary(made)} of what is new get the canary"] if made.canary else []
    more += [f"{made.shadow} is its shadow"] if made.shadow else []
    typer.echo("; ".join([f"{name}@{made.alias} is version {made.version} now", *more]) + ".")


def _list(found: Aliases, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table(("Alias", "Version", "Canary", "Shadow", "Since"), [
        (each.alias, each.version, _canary(each), each.shadow, moment(each.at)) for each in found.aliases],
        "No version is deployed: aimass models deploy NAME@VERSION")
    if found.shadows:
        typer.echo("")
        table(("Shadow", "asked", "agreed", "failed", "left out", "difference"), [
            (each.model, each.asked, each.agreed, each.failed, each.left_out, f"{each.difference:.6g}")
            for each in found.shadows], "")


def _canary(each: Deployment) -> str:
    return "" if each.canary is None else f"{each.canary}: {each.share} %"


def _changes(seen: dict[str, Any]) -> str:
    told = [f"{len(seen[what])} {what}" for what in ("added", "removed", "changed") if seen[what]]
    names = [*seen["added"], *seen["removed"], *seen["changed"]][:5]
    return f"{', '.join(told)} ({', '.join(names)}{', ...' if len(names) == 5 else ''})" if told else "the same"
