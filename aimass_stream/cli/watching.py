"""`aimass models watch`, `feedback`, `samples`, `alerts` and `image`: how versions do, and one to be served alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ..figures import short
from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json
from .given import json_of, value_of, versioned
from .tables import facts, moment, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Alert, FeedbackGiven

Name: TypeAlias = Annotated[str, typer.Argument(help="Of the model.", autocompletion=completing.models)]
Versioned: TypeAlias = Annotated[str, typer.Argument(
    metavar="NAME[@VERSION]", help="The model, and which version: fish@2; without it the one that serves.",
    autocompletion=completing.versioned)]


def add(models: typer.Typer) -> None:
    for command in (watch, feedback, samples, alerts, image):
        models.command()(command)


def watch(name: Versioned, days: Annotated[int, typer.Option(min=1, max=800, help="That are told.")] = 30,
          begin: Annotated[bool, typer.Option("--begin", help="Compare inputs with the next week's.")] = False,
          url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show how a version does: requests, latency, drift of inputs, feedback."""
    model, which = versioned(name, otherwise="production")

    async def work(client: Client) -> dict[str, Any]:
        if begin:
            await client.watch.begin_anew(model, which)
        return await client.watch.show(model, which, days=days)

    seen = asked(url, api_key, no_verify, work)
    if as_json:
        print_json(seen)
        return
    drift, given = seen["drift"] or {}, seen["feedback"]
    facts(Version=seen["model"], Requests=seen["requests"], Errors=seen["errors"], Refused=seen["refused"],
          Latency=_latency(seen), Feedback=f"{given['right']} right, {given['wrong']} wrong",
          First_week=f"from {moment(drift['since'])} to {moment(drift['until'])}, {drift['samples']} inputs"
          f"{'' if drift['complete'] else '; not over yet'}" if drift else "")
    typer.echo("")
    table(("Day", "Requests", "Errors", "Refused", "p50, p95, p99 (ms)"), [
        (moment(each["day"])[:10], each["requests"], each["errors"], each["refused"], _latency(each))
        for each in seen["days"]], "Nobody asked it yet.")
    if drift:
        typer.echo("")
        table(("Input", "PSI", "Shift", "Mean", "First week", "Missing"), [
            (each["name"], each["psi"], each["shift"], _short(each["mean"]), _short(each["first_week"]["mean"]),
             f"{each['missing']:.1%}") for each in drift["inputs"]], "")


def feedback(
    name: Versioned,
    verdict: Annotated[str, typer.Argument(help="right or wrong: say so. Without it, list what was said.",
                                           autocompletion=lambda: ["right", "wrong"])] = "",
    comment: Annotated[str, typer.Option(help="And why.")] = "",
    given: Annotated[str, typer.Option("--input", help="What was asked, as JSON or @FILE; it is sent along.")] = "",
    expected: Annotated[str, typer.Option(help="What the answer should have been, likewise.")] = "",
    collect: Annotated[bool | None, typer.Option("--collect/--no-collect", help="Whether inputs that people send are "
                                                 "kept: by the model's owner.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Say whether an answer was right, or list what people said."""
    if verdict not in ("", "right", "wrong"):
        raise typer.BadParameter("it is right or wrong", param_hint="VERDICT")
    model, which = versioned(name, otherwise="production")
    sample = {key: value_of(said, f"--{key}") for key, said in (("input", given), ("expected", expected)) if said}

    async def say(client: Client) -> FeedbackGiven:
        return await client.watch.give(model, which, verdict, comment, **sample)

    if collect is not None:
        asked(url, api_key, no_verify, lambda client: client.watch.collect(model, collect))
        typer.echo(f"Samples for {model} are {'kept' if collect else 'not kept'} from now on.", err=True)
    elif verdict:
        said = asked(url, api_key, no_verify, say)
        if as_json:
            print_json(said)
        else:
            typer.echo("Said, and the sample is kept." if said.sample else "Said; the sample is not kept: its owner "
                       "does not collect any." if sample else "Said.")
    else:
        found = asked(url, api_key, no_verify, lambda client: client.watch.feedback(model, which))
        if as_json:
            print_json(found)
        else:
            table(("When", "Who", "Verdict", "Comment", "Sample"), [
                (moment(each.at), each.name, each.verdict, each.comment, "yes" if each.sample else "")
                for each in found], "Nobody said anything yet.")


def samples(name: Versioned, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = True
            ) -> None:
    """Print the samples that people sent, as JSON in lines in any case."""
    model, which = versioned(name, otherwise="production")
    for each in asked(url, api_key, no_verify, lambda client: client.watch.samples(model, which)):
        typer.echo(json.dumps(each))


def alerts(
    name: Name,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="METRIC>LIMIT, as error_rate>0.05, p95_ms>200, "
                                                   "drift_psi>0.25, wrong_share>0.3; several times. In place of all "
                                                   "there are.")] = None,
    over: Annotated[int, typer.Option(min=60, max=86400, help="s that are looked at.")] = 300,
    least: Annotated[int, typer.Option(min=1, help="Requests below which nothing changes.")] = 10,
    version: Annotated[int | None, typer.Option(min=1, help="Of this version alone.")] = None,
    webhook: Annotated[str, typer.Option(help="Where it is posted.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Take all rules away.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List the rules of a model and which of them fire, or set them."""
    rules = [_rule(each) | {"over_s": over, "min_requests": least, "version": version, "webhook": webhook}
             for each in rule or ()]

    async def work(client: Client) -> list[Alert]:
        return await (client.watch.put_alerts(name, rules) if rules or clear else client.watch.alerts(name))

    found = asked(url, api_key, no_verify, work)
    if as_json:
        print_json(found)
        return
    table(("Rule", "Version", "Over", "State", "At", "Since", "Webhook", "Trouble"), [
        (f"{each.metric} > {each.above:.15g}", each.version, f"{each.over_s} s", each.state, _short(each.value),
         moment(each.since), each.webhook, each.detail) for each in found], "No rules: nobody is told of trouble.")


def image(name: Versioned, out: Annotated[Path | None, typer.Option("--out", "-o", file_okay=False,
                                                                    help="An empty folder, or one to be made.")] = None,
          url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Write a folder with a Dockerfile that serves this model, and nothing else."""
    model, which = versioned(name, otherwise="production")
    folder = out or Path(f"{model}-image")
    paths = asked(url, api_key, no_verify, lambda client: client.models.image(model, folder, which))
    if as_json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        typer.echo(str(path))
    typer.echo(f"\ndocker build -t {model} {folder}\n"
               f"docker run -p 8000:8000 -e AIMASS_API_KEY=change-this-key {model}", err=True)


def _rule(said: str) -> dict[str, Any]:
    metric, _, limit = said.partition(">")
    try:
        above = json_of(limit, "--rule")
    except ValueError:
        above = None
    if isinstance(above, bool) or not isinstance(above, int | float):
        raise typer.BadParameter(f"{said!r}: say error_rate>0.05", param_hint="--rule")
    return {"metric": metric.strip(), "above": above}


def _latency(told: dict[str, Any]) -> str:
    values = [told["latency_ms"][share] for share in ("p50", "p95", "p99")]
    return "" if values[0] is None else ", ".join(map(short, values))


def _short(value: float | None) -> str:
    return "" if value is None else short(value)
