"""`aimass node`, `aimass stages`: what a server is like."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .tables import amount, facts, moment, table


def node(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show how the server that answers does, and the models in its memory. For admins."""
    found = asked(url, api_key, no_verify, lambda client: client.node())
    if as_json:
        print_json(found)
        return
    memory = found["memory"]
    facts(Host=f"{found['host']}, process {found['process']}", Version=found["version"], Since=moment(found["started"]),
          State=found["state"], Why=found["reason"], Sessions=f"{found['sessions']} of {found['max_sessions']}",
          Load=f"{found['load']:.0%} of {found['cores']} cores", Loop_late=f"{found['loop_lag_ms']:.1f} ms",
          Memory=f"{amount(memory['process'])}; of the machine's {amount(memory['total'])} there are "
                 f"{amount(memory['available'])} left",
          Graphics=", ".join(f"{gpu['name']}, {amount(gpu['free'])} free" for gpu in found["gpus"]))
    typer.echo()
    table(("Model", "State", "Device", "Memory", "Busy", "Runs", "Errors", "Waiting", "p50 / p95, ms"), [
        (each["name"], each["state"], each["device"], amount(each["memory"]), f"{each['occupancy']:.0%}", each["runs"],
         each["failures"], each["waiting"], f"{each['run_p50_ms']:.1f} / {each['run_p95_ms']:.1f}")
        for each in found["models"]], "No model is in memory: they are loaded when somebody asks for them.")


def stages(
    name: Annotated[str | None, typer.Argument(metavar="STAGE", help="Its parameters.",
                                               autocompletion=completing.stages)] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List what pipelines of a server are made of, or what one of it takes."""
    found = asked(url, api_key, no_verify, lambda client: client.stages())
    if name is not None:
        found = [each for each in found if each["name"] == name]
        if not found:
            raise typer.BadParameter(f"there is no stage {name!r}; `aimass stages` lists them", param_hint="STAGE")
    if as_json:
        print_json(found if name is None else found[0])
    elif name is None:
        table(("Stage", "Of", "Does"), [(each["name"], ", ".join(each["accepts"]), each["doc"].partition("\n")[0])
                                        for each in found], "No stages.")
    else:
        typer.echo(f"{found[0]['doc']}\n")
        table(("Parameter", "Usually", "Of", "What"), [
            (key, _usual(each), _of(each), each.get("description")) for key, each in
            found[0]["params"].get("properties", {}).items()], "It has no parameters.")


def _usual(schema: dict[str, Any]) -> str:
    return str(schema.get("default", "")) or '""'


def _of(schema: dict[str, Any]) -> str:
    """What it may be, in short."""
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([str(schema.get("type", "")), *bounds]).strip()
