"""`aimass models`: the models of a server, and the weights on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ..errors import NotFound
from . import completing, conversions, deploying, opinions, quarantine, rekey, uploads, watching, weights
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import number, object_of, picture_of, sure, text_of, value_of, versioned
from .tables import amount, bar, facts, moment, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Model, Version

models = typer.Typer(help="Models of a server: find, upload, deploy. Weights on this machine: weights, pull, remove.",
                     no_args_is_help=True)

Name: TypeAlias = Annotated[str, typer.Argument(help="Of the model.", autocompletion=completing.models)]
Versioned: TypeAlias = Annotated[str, typer.Argument(
    metavar="NAME[@VERSION]", help="The model, and which version: fish@2, fish@production; without it the newest.",
    autocompletion=completing.versioned)]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Title: TypeAlias = Annotated[str | None, typer.Option(help="What people call it.")]
Task: TypeAlias = Annotated[str | None, typer.Option(help="What it is for: detection, classification, ...")]
Licence: TypeAlias = Annotated[str | None, typer.Option(help="SPDX, such as Apache-2.0.")]
Tags: TypeAlias = Annotated[list[str] | None, typer.Option("--tag", help="To be found by; may be said several times.")]
Card: TypeAlias = Annotated[str | None, typer.Option(help="Markdown, or @FILE with it.")]
Visibility: TypeAlias = Annotated[str | None, typer.Option(help="private, team or public.",
                                                           autocompletion=lambda: ["private", "team", "public"])]


@models.command("list")
def list_models(
    words: Annotated[str, typer.Argument(help="That are all in name, title, task, licence, tags or card.")] = "",
    task: Annotated[str, typer.Option(help="What they are for.")] = "",
    tag: Annotated[str, typer.Option(help="That they have.")] = "",
    licence: Annotated[str, typer.Option(help="Of theirs.")] = "",
    mine: Annotated[bool, typer.Option("--mine", help="One's own alone.")] = False,
    sort: Annotated[str, typer.Option(help="updated, downloads, rating or name.",
                                      autocompletion=lambda: ["updated", "downloads", "rating", "name"])] = "updated",
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List the models of a server, those that came with it included."""
    found = asked(url, api_key, no_verify, lambda client: client.models.find(
        words, task=task, tag=tag, licence=licence, mine=mine, sort=sort, most=most))
    if as_json:
        print_json(found)
        return
    table(("Name", "What it is", "For", "Licence", "Serves", "Stars", "Changed"), [
        (each.name, each.title, each.task, each.licence, _serves(each), _stars(each), moment(each.updated))
        for each in found], "No such models. What can be fetched to this machine: aimass models weights")


@models.command()
def show(name: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
         ) -> None:
    """Show a model with its versions, or one version with its files."""
    model, _, which = name.partition("@")

    async def work(client: Client) -> tuple[Model, list[Version], Version | None]:
        found = await client.models.show(model)
        version = await client.models.version(model, which) if which else None
        return found, await client.models.versions(model), version

    found, versions, version = asked(url, api_key, no_verify, work)
    if version is not None:
        show_version(version, as_json)
        return
    if as_json:
        print_json({"model": found, "versions": versions})
        return
    facts(Name=found.name, What_it_is=found.title, For=found.task, Licence=found.licence, Tags=", ".join(found.tags),
          Visibility=found.visibility, Serves=_serves(found), Stars=_stars(found), Downloads=found.downloads,
          Changed=moment(found.updated))
    if found.card:
        typer.echo("\n" + "\n".join(map(_line, found.card.splitlines())))
    typer.echo("")
    table(("Version", "State", "Format", "Size", "ms", "Made", "Note"), [
        (each.number, each.state, each.format, amount(each.size), (each.facts.get("trial") or {}).get("ms"),
         moment(each.created), each.note or each.reason) for each in versions], "It has no versions yet.")


@models.command()
def upload(
    name: Name,
    files: Annotated[list[Path] | None, typer.Argument(exists=True, help="A file, several, a folder, or an archive.")]
    = None,
    address: Annotated[str, typer.Option("--from", metavar="URL", help="In place of files: the server fetches it.")]
    = "",
    example: Annotated[str, typer.Option(help="A value for each input, as JSON or @FILE: what it is tried on.")] = "",
    manifest: Annotated[str, typer.Option(help="What files don't tell, as JSON or @FILE: engine, inputs, ...")] = "",
    note: Annotated[str, typer.Option(help="What is new.")] = "",
    title: Title = None, task: Task = None, licence: Licence = None, tag: Tags = None, card: Card = None,
    visibility: Visibility = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="Let it serve when it is ready.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it is checked.")] = True,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Upload a new version of a model, which is checked and tried then. What broke off goes on where it was."""
    said = object_of(manifest, "--manifest") | ({"example": value_of(example, "--example")} if example else {})
    changes: dict[str, Any] = {"title": title, "task": task, "licence": licence, "tags": tag, "visibility": visibility,
               "card": None if card is None else text_of(card, "--card")}
    if bool(files) == bool(address):
        raise typer.BadParameter("say which files, or where from with --from URL", param_hint="FILES")
    given: Any = None if not files else files[0] if len(files) == 1 else {each.name: each for each in files}

    async def work(client: Client) -> Version:
        if any(change is not None for change in changes.values()):
            try:
                await client.models.change(name, **changes)
            except NotFound:
                await client.models.create(name, **changes)
        with bar(quiet=as_json) as told:
            version = await (client.models.upload(name, given, manifest=said, note=note, told=told) if files else
                             _fetched(client, name, address, said, note, told))
        if wait or deploy:
            with bar(quiet=as_json, bytes=False) as told:
                version = await client.models.checked(name, version.number, lambda seen: told(
                    seen.message or "checking", round(1000 * (seen.progress or 0)), 1000))
        if deploy and version.state == "ready":
            await client.models.deploy(name, version.number)
        return version

    version = asked(url, api_key, no_verify, work, kept="What has arrived is kept for a day: the same command goes on "
                    f"there. What had arrived as a whole is checked all the same: aimass models show {name}")
    if as_json:
        print_json(version)
    else:
        typer.echo(f"{version.model} is {version.state}" + (f": {version.reason}" if version.reason else "."))
        if version.state == "quarantined":
            typer.echo(f"It is code: an admin other than you decides on it, with aimass models quarantine approve "
                       f"{version.model}")
        if version.state == "ready":
            typer.echo(f"{name} is {version.model} now." if deploy else
                       f"Let it serve: aimass models deploy {version.model}")
    raise typer.Exit(int(version.state not in ("ready", "checking")))


async def _fetched(client: Client, name: str, address: str, manifest: dict[str, Any], note: str,
                   told: Callable[[str, int, int], None]) -> Version:
    upload, job = await client.uploads.fetch(address)
    await client.jobs.wait(job, lambda seen: told(upload.name, round(upload.size * seen.progress), upload.size))
    try:
        await client.models.show(name)
    except NotFound:
        await client.models.create(name)
    return await client.models.submit(name, {upload.name: upload.id}, manifest=manifest, note=note)


@models.command()
def change(name: Name, title: Title = None, task: Task = None, licence: Licence = None, tag: Tags = None,
           card: Card = None, visibility: Visibility = None, url: Url = URL, api_key: Key = None,
           no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Change what is told of a model, and who may see it."""
    written = None if card is None else text_of(card, "--card")
    found = asked(url, api_key, no_verify, lambda client: client.models.change(
        name, title=title, task=task, licence=licence, tags=tag, card=written, visibility=visibility))
    if as_json:
        print_json(found)
    else:
        facts(Name=found.name, What_it_is=found.title, For=found.task, Licence=found.licence,
              Tags=", ".join(found.tags), Visibility=found.visibility)


@models.command("try")
def try_model(name: Versioned, value: Annotated[str, typer.Argument(metavar="INPUT", help="JSON, @FILE with JSON or a "
                                                               "picture, or -.")],
              url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Run a version once, whether it is deployed or not."""
    model, which = versioned(name)
    picture = picture_of(value)
    given = None if picture is not None else value_of(value, "INPUT")
    trial = asked(url, api_key, no_verify, lambda client: client.models.try_version(model, which, given,
                                                                                    picture=picture))
    print_json(trial if as_json else trial.output)
    if not as_json:
        typer.echo(f"{trial.model}, {trial.ms:.1f} ms", err=True)


@models.command()
def delete(name: Versioned, yes: Yes = False, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Delete a version, or a model with all of its versions. What is used is not deleted."""
    model, _, which = name.partition("@")
    version = number(which) if which else None
    sure(yes, f"Delete {name}{'' if version else ' with all of its versions'}?")
    asked(url, api_key, no_verify, lambda client: client.models.delete(model) if version is None else
          client.models.delete_version(model, version))
    say(as_json, f"{name} is deleted.", deleted=name)


@models.command()
def download(name: Versioned, out: Annotated[Path, typer.Option("--out", "-o", file_okay=False,
                                                                help="The folder for its files.")] = Path(),
             url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Fetch the files of a version; what broke off goes on where it was, and each is checked by its SHA-256."""
    model, which = versioned(name)
    with bar(quiet=as_json) as told:
        paths = asked(url, api_key, no_verify, lambda client: client.models.download(
            model, out, which, lambda done, total: told(name, done, total)),
            kept="What has come is kept: the same command goes on there.")
    if as_json:
        print_json([str(path) for path in paths])
    else:
        for path in paths:
            typer.echo(str(path))


@models.command()
def graph(name: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
          ) -> None:
    """Show the operators and the weights of a version."""
    model, which = versioned(name)
    seen = asked(url, api_key, no_verify, lambda client: client.models.graph(model, which))
    if as_json:
        print_json(seen)
        return
    table(("Operator", "Name", "Inputs", "Outputs"), [
        (each["kind"], each["name"], ", ".join(each["inputs"]), ", ".join(each["outputs"])) for each in seen["nodes"]],
        "No operators are known of it.")
    typer.echo("")
    table(("Weights", "Kind", "Shape", "Size"), [
        (each["name"], each["dtype"], "×".join(map(str, each["shape"])), amount(each["bytes"]))
        for each in seen["tensors"]], "No weights are known of it.")


def show_version(version: Version, as_json: bool) -> None:
    if as_json:
        print_json(version)
        return
    trial = version.facts.get("trial") or {}
    facts(Version=version.model, State=version.state, Reason=version.reason, Note=version.note, Format=version.format,
          Engine=version.engine, Made=moment(version.created), Size=amount(version.size),
          Parameters=version.facts.get("parameters"), ms_of_a_run=trial.get("ms"),
          Inputs=_tensors(version, "inputs"), Outputs=_tensors(version, "outputs"))
    typer.echo("")
    table(("File", "Size", "SHA-256"), [(each.path, amount(each.size), each.sha256) for each in version.files],
          "It has no files yet.")


def _tensors(version: Version, side: str) -> str:
    return ", ".join(f"{each.get('name')} {each.get('dtype', 'float32')} {'×'.join(map(str, each.get('shape', [])))}"
                     for each in version.manifest.get(side, []))


def _serves(model: Model) -> str:
    return ", ".join(f"{alias} {version}" for alias, version in sorted(model.deployed.items()))


def _stars(model: Model) -> str:
    return "" if model.rating is None else f"{model.rating:.1f} ({model.ratings})"


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)


deploying.add(models)
opinions.add(models)
watching.add(models)
models.add_typer(quarantine.quarantine, name="quarantine")
conversions.add(models)
models.command("weights")(weights.weights)
models.command("pull")(weights.fetch)
models.command("remove")(weights.remove)
models.command()(rekey.rekey)
uploads.add(models)
