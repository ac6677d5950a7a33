"""`aimass models convert`, `conversions`: versions made smaller, or of another format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..figures import short
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import set_of, versioned
from .tables import amount, bar, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Conversion, Import, Job

KINDS = ("int8", "half", "prune", "onnx", "shards", "encrypt")
SMALLER = ("int8", "half")  # what is done for that, or for speed
NOISE = 0.02  # of a latency: what two measurements differ by anyhow


def add(models: typer.Typer) -> None:
    models.command()(convert)
    models.command()(conversions)


def convert(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Without a version: the newest that is ready.")],
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}; aimass models conversions has more of each.",
                                        autocompletion=lambda: list(KINDS))],
    option: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="share=0.7; may be said several "
                                                     "times.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it is done; Ctrl-C does not end it.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Make another version of one: smaller, or of another format. The version itself stays as it is."""
    model, which = versioned(name)
    options = set_of(option or [], "--option", "share=0.7")

    async def work(client: Client) -> Job:
        job = await client.models.convert(model, kind, which, options=options)
        if follow:
            with bar(quiet=as_json, bytes=False) as told:
                return await client.jobs.wait(job.id, lambda seen: told(
                    seen.message or "waiting", round(1000 * seen.progress), 1000))
        return job

    job = asked(url, api_key, no_verify, work)
    if as_json:
        print_json(job)
    elif not follow:
        typer.echo(f"It is begun. How far it is: aimass jobs watch {job.id}")
    else:
        _say(model, job.facts)


def conversions(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List what versions can be turned into, and what has to be installed on the server for that."""
    async def work(client: Client) -> tuple[list[Conversion], list[Import]]:
        return await client.models.conversions(), await client.models.imports()

    found, imports = asked(url, api_key, no_verify, work)
    if as_json:
        print_json({"conversions": found, "imports": imports})
        return
    for each in found:
        typer.echo(f"{each.kind}: {each.description}")
        for format in each.takes:
            typer.echo(f"  takes {format['format']}" + ("" if format["here"] else f"; first: {format['install']}"))
        for option in each.options:
            choices = f" ({', '.join(option['choices'])})" if option["choices"] else ""
            typer.echo(f"  {option['name']}={json.dumps(option['default'])}{choices}: {option['description']}")
    typer.echo("What becomes ONNX when it is uploaded:")
    for taken in imports:
        typer.echo(f"  {taken.format}: {taken.files}" + ("" if taken.here else f"; first: {taken.install}"))


def _say(name: str, facts: dict[str, Any]) -> None:
    told, version = facts.get("conversion") or {}, facts.get("version")
    size, latency, apart = (told.get(key) or {} for key in ("size", "latency_ms", "difference"))
    typer.echo(f"{name}@{version} is {told.get('kind')} of {name}@{told.get('from')}.")
    rows: list[tuple[object, ...]] = [("Size", *_both(size, amount), _factor(size))]
    if latency:
        rows.append(("ms of a run", *_both(latency, short), _factor(latency)))
    sparsity = told.get("sparsity")
    if sparsity:
        rows.append(("Zeros among weights", *_both(sparsity, lambda value: f"{value:.1%}"), None))
        rows.append(("Size when packed", *_both(sparsity["packed"], amount), _factor(sparsity["packed"])))
    table(("", "Before", "After", ""), rows, "")
    if apart:
        typer.echo(f"Answers are at most {apart['max']:.3g} apart, {apart['mean']:.3g} on average; cosine "
                   f"{apart['cosine']:.6f}.")
    worse = _gain(told.get("kind", ""), size, latency)
    typer.echo(f"It is {worse} than {name}@{told.get('from')}: nothing is won by it." if worse else
               f"Let it serve: aimass models deploy {name}@{version}")


def _both(told: dict[str, Any], shown: Any) -> tuple[str, str]:
    return shown(told["before"]), shown(told["after"])


def _factor(told: dict[str, Any]) -> str:
    return f"{told['after'] / told['before'] - 1:+.0%}".replace("%", " %") if told["before"] else ""


def _gain(kind: str, size: dict[str, Any], latency: dict[str, Any]) -> str:
    """What is worse than before where it was to be smaller or faster, and "" where something came of it."""
    if kind not in SMALLER or not size["before"] or size["after"] < size["before"]:
        return ""
    if not latency or not latency["before"]:
        return "larger" if size["after"] > size["before"] else "no smaller"
    change = latency["after"] / latency["before"] - 1
    if change < -NOISE:
        return ""
    bigger = "larger" if size["after"] > size["before"] else "no smaller"
    return f"{bigger} and {'slower' if change > NOISE else 'no faster'}"
