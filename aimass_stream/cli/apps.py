"""`aimass apps`: saved pipelines with a name, from a draft to being published."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ..figures import short
from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import number, object_of, set_of, sure
from .tables import facts, moment, plain, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import App, AppVersion

apps = typer.Typer(help="Apps of a server, which are saved pipelines: find, draft, submit, decide, publish, run.",
                   no_args_is_help=True)

Name: TypeAlias = Annotated[str, typer.Argument(metavar="APP", help="Its slug or its id.",
                                                autocompletion=completing.apps)]
Versioned: TypeAlias = Annotated[str, typer.Argument(
    metavar="APP[@VERSION]", help="Its slug or its id; without a version, the newest.",
    autocompletion=completing.apps)]
Manifest: TypeAlias = Annotated[str, typer.Argument(help="JSON, @FILE with it, or -.")]
Why: TypeAlias = Annotated[str, typer.Option("--reason", help="Why, for people to read.")]
SORTS = ("new", "used", "featured", "name")


@apps.command("list")
def list_apps(
    words: Annotated[str, typer.Argument(help="That are all in it.")] = "",
    mine: Annotated[bool, typer.Option("--mine", help="One's own, drafts as well.")] = False,
    sort: Annotated[str, typer.Option(help=f"One of {', '.join(SORTS)}.", autocompletion=lambda: list(SORTS))] = "new",
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List the apps that are published."""
    _table(asked(url, api_key, no_verify, lambda client: client.apps.find(words, mine=mine, sort=sort)), as_json)


@apps.command()
def show(app: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
         ) -> None:
    """Show an app, and what can be set of it."""
    name, _, which = app.partition("@")
    version = number(which) if which else None
    found = asked(url, api_key, no_verify, lambda client: client.apps.show(name, version))
    if as_json:
        print_json(found)
        return
    _say(found, as_json)
    if found.description:
        typer.echo("\n" + "\n".join(map(plain, found.description.splitlines())) + "\n")
    table(("Parameter", "Kind", "Usual", "What it is"), [
        (key, each.get("type"), each.get("default"), each.get("title") or each.get("description"))
        for key, each in found.schema.get("properties", {}).items()], "Nothing of it can be set.")


@apps.command()
def create(manifest: Manifest, slug: Annotated[str | None, typer.Option(help="In addresses; else of its name.")] = None,
           url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Make a draft."""
    given = object_of(manifest, "MANIFEST")
    _step(asked(url, api_key, no_verify, lambda client: client.apps.create(given, slug)), as_json)


@apps.command()
def change(app: Name, manifest: Manifest, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Change the draft of an app; where there is none, begin the next one."""
    given = object_of(manifest, "MANIFEST")

    async def work(client: Client) -> AppVersion:
        newest = (await client.apps.versions(app))[0]
        if newest.state in ("draft", "rejected"):
            return await client.apps.change(app, newest.version, given)
        return await client.apps.begin(app, given)

    _step(asked(url, api_key, no_verify, work), as_json)


@apps.command()
def submit(app: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
           ) -> None:
    """Have a draft decided on."""
    _on(app, url, api_key, no_verify, as_json, lambda client, name, version: client.apps.submit(name, version))


@apps.command()
def withdraw(app: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Make what was submitted a draft again."""
    _on(app, url, api_key, no_verify, as_json, lambda client, name, version: client.apps.withdraw(name, version))


@apps.command()
def queue(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List what waits for a reviewer."""
    found = asked(url, api_key, no_verify, lambda client: client.apps.queue())
    if as_json:
        print_json(found)
        return
    table(("App", "Name", "Version", "Submitted", ""), [
        (each.app.slug, each.app.name, each.version.version, moment(each.version.submitted),
         "yours: another one decides" if each.own else "") for each in found], "Nothing waits.")


@apps.command()
def approve(app: Versioned, reason: Why = "", url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
            as_json: AsJson = False) -> None:
    """Approve what was submitted by somebody else."""
    _on(app, url, api_key, no_verify, as_json, lambda client, name, version: client.apps.approve(name, version, reason))


@apps.command()
def reject(app: Versioned, reason: Annotated[str, typer.Option("--reason", help="Why, for its author to read.")],
           url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Reject it."""
    _on(app, url, api_key, no_verify, as_json, lambda client, name, version: client.apps.reject(name, version, reason))


@apps.command()
def publish(app: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
            ) -> None:
    """Publish what was approved."""
    _on(app, url, api_key, no_verify, as_json, lambda client, name, version: client.apps.publish(name, version))


@apps.command()
def versions(app: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """List the versions of an app, the newest first."""
    found = asked(url, api_key, no_verify, lambda client: client.apps.versions(app))
    if as_json:
        print_json(found)
        return
    table(("Version", "State", "Reason", "Made", "Submitted", "Decided", "Published"), [
        (each.version, each.state, each.reason, moment(each.created), moment(each.submitted), moment(each.decided),
         moment(each.published)) for each in found], "It has no versions.")


@apps.command()
def feature(app: Name, off: Annotated[bool, typer.Option("--off", help="No longer.")] = False, url: Url = URL,
            api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show an app among the featured ones; by a reviewer whose own it is not."""
    _say(asked(url, api_key, no_verify, lambda client: client.apps.feature(app, not off)), as_json)


@apps.command()
def probe(app: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
          ) -> None:
    """Run the example of an app now, and check what comes; 1 if it is not what was expected."""
    name, _, which = app.partition("@")
    version = number(which) if which else None
    found = asked(url, api_key, no_verify, lambda client: client.apps.probe(name, version))
    if as_json:
        print_json(found)
    else:
        typer.echo(plain(f"{app} {'does what its example expects' if found['passed'] else 'fails'}"
                         f"{': ' + found['detail'] if found['detail'] else ''} ({found['seconds']:.1f} s)"))
    raise typer.Exit(int(not found["passed"]))


@apps.command()
def unpublish(app: Name, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
              ) -> None:
    """Publish it no longer."""
    _say(asked(url, api_key, no_verify, lambda client: client.apps.unpublish(app)), as_json)


@apps.command()
def suspend(app: Name, reason: Annotated[str, typer.Option("--reason", help="Why.")], url: Url = URL,
            api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Let nobody use it until it is resumed; by a reviewer."""
    _say(asked(url, api_key, no_verify, lambda client: client.apps.suspend(app, reason)), as_json)


@apps.command()
def resume(app: Name, reason: Why = "", url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
           as_json: AsJson = False) -> None:
    """Let it be used again; by a reviewer whose own it is not."""
    _say(asked(url, api_key, no_verify, lambda client: client.apps.resume(app, reason)), as_json)


@apps.command()
def run(app: Name, given: Annotated[str, typer.Argument(metavar="INPUT", help="As in an example: JSON, @FILE, or -.")],
        changes: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What of it is set; may "
                                                          "be said several times.")] = None,
        parameters: Annotated[str, typer.Option(help="The same as a JSON object.")] = "",
        out: Annotated[Path | None, typer.Option("--out", "-o", help="Where its last picture is written.")] = None,
        url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Ask an app once, in place of a session; prints JSON, without --json the picture left out."""
    value, given_all = object_of(given, "INPUT"), object_of(parameters, "--parameters") | set_of(changes or [])
    came = asked(url, api_key, no_verify, lambda client: client.apps.run(app, value, given_all))
    if out is not None:
        _keep(came.get("picture"), out)
    if came.get("picture") and not as_json:
        came["picture"] = f"a JPEG in {out}" if out is not None else "a JPEG; --out FILE.jpg keeps it"
    print_json(came)


@apps.command()
def health(app: Name, days: Annotated[int, typer.Option(min=1, help="How many.")] = 30, url: Url = URL,
           api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Tell how an app does; for who works on it, and for reviewers."""
    found = asked(url, api_key, no_verify, lambda client: client.apps.health(app, days))
    if as_json:
        print_json(found)
        return
    table(("Day", "Sessions", "Runs", "Probes", "Failed", "Minutes", "ms p50/p95/p99"), [
        (moment(each["day"])[:10] if "day" in each else "together", each["sessions"], each["runs"], each["probes"],
         each["failed"], f"{each['seconds'] / 60:.1f}", _delays(each["latency_ms"]))
        for each in [*found["days"], found]], "")
    last = found["probe"]
    if last is not None:
        typer.echo(plain(f"\nIts example, {moment(last['at'])}: {'passed' if last['passed'] else 'failed'}"
                         f"{': ' + last['detail'] if last['detail'] else ''}"))


@apps.command()
def delete(app: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False, url: Url = URL,
           api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Delete an app with all of its versions; not one that is published."""
    sure(yes, f"Delete {app} with all of its versions?")
    asked(url, api_key, no_verify, lambda client: client.apps.delete(app))
    say(as_json, f"{app} is deleted.", deleted=app)


def _delays(latency: dict[str, float | None]) -> str:
    return " / ".join("-" if value is None else short(value) for value in latency.values())


def _keep(picture: str | None, out: Path) -> None:
    if not picture:
        raise typer.BadParameter("no picture came", param_hint="--out")
    try:
        out.write_bytes(base64.b64decode(picture))
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from None


def _on(app: str, url: str, api_key: str | None, no_verify: bool, as_json: bool,
        step: Callable[[Client, str, int], Awaitable[AppVersion]]) -> None:
    """A step of a version, of the newest where none is named."""
    name, _, which = app.partition("@")
    version = number(which) if which else None

    async def work(client: Client) -> AppVersion:
        return await step(client, name, version or (await client.apps.versions(name))[0].version)

    _step(asked(url, api_key, no_verify, work), as_json)


def _step(made: AppVersion, as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        typer.echo(plain(f"{made.manifest.get('name', made.app_id)}, version {made.version}, is {made.state}: "
                         f"{made.app_id}@{made.version}"))


def _say(found: App, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    facts(App=found.slug, Id=found.id, Name=found.name, What_it_does=found.summary, State=found.state,
          Reason=found.reason, Version=found.version, Published=found.live,
          Featured="yes" if found.featured else None, Needs=", ".join(found.permissions),
          Tags=", ".join(found.tags), Used=found.used, Changed=moment(found.updated))


def _table(found: list[App], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    table(("App", "Name", "What it does", "State", "Used", "Changed"), [
        (each.slug, each.name, each.summary, each.state, each.used, moment(each.updated)) for each in found],
        "No such apps.")
