"""`aimass sessions`: what a node does, live in the terminal; one session looked at, changed, ended."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ..errors import NotFound
from . import completing, records
from .common import URL, AsJson, Key, NoVerify, Url, asked, pipeline_of, print_json, run, say
from .given import set_of
from .tables import facts, moment, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..client import Client

sessions = typer.Typer(help="Watch the sessions of a server. Also: list, show, change, end; transcript, counts, "
                            "attendance, tracks, heatmap of one.", invoke_without_command=True)
records.add(sessions)

Id: TypeAlias = Annotated[str, typer.Argument(metavar="SESSION", help="Its id.", autocompletion=completing.sessions)]


@sessions.callback()
def watch(
    context: typer.Context,
    url: Url = URL,
    api_key: Key = None,
    no_verify: NoVerify = False,
    once: Annotated[bool, typer.Option("--once", help="Print once and end.")] = False,
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch the sessions of a server, their pipelines, delays and drops; or look at one with the commands below."""
    if context.invoked_subcommand is not None:
        for name in context.params:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise typer.BadParameter(f"options go behind {context.invoked_subcommand}", param_hint=name)
        return

    async def work(client: Client) -> int:
        from rich.console import Console

        if as_json:
            print_json(await look(client))
        elif once:
            Console().print(_picture(await look(client), client.url))
        else:
            await _watch(client, every)
        return 0

    run(url, api_key, no_verify, work)


@sessions.command("list")
def list_sessions(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List one's sessions; all, for admins."""
    found = asked(url, api_key, no_verify, lambda client: client.sessions())
    if as_json:
        print_json(found)
        return
    table(("Id", "Over", "State", "Begun", "Whose", "App", "Pipeline"), [
        (each["id"], each["transport"], each["state"], moment(each["created"]), each["caller"], each["app_id"],
         stages_of(each)) for each in found], "No sessions now.")


@sessions.command()
def show(session: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
         ) -> None:
    """Show what a session does, and how it fares."""
    async def work(client: Client) -> dict[str, Any]:
        found, stats = await asyncio.gather(client.session(session), client.stats(session))
        return found | {"stats": stats}

    _say(asked(url, api_key, no_verify, work), as_json)


@sessions.command()
def change(
    session: Id,
    pipeline: Annotated[str | None, typer.Option(
        "--pipeline", "-p", help="""JSON such as '[{"stage": "mirror"}]', or @FILE with it.""")] = None,
    given: Annotated[list[str] | None, typer.Option(
        "--set", metavar="NAME=VALUE", help="What of its app is set; may be said several times.")] = None,
    sync: Annotated[str | None, typer.Option(help="lowest or lips.",
                                             autocompletion=lambda: ["lowest", "lips"])] = None,
    latency: Annotated[int | None, typer.Option(help="ms that the server is to promise from now on; 0: none.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Change a session while it runs; what is wrong changes nothing."""
    stages, parameters = None if pipeline is None else pipeline_of(pipeline), set_of(given or []) or None
    if stages is None and parameters is None and sync is None and latency is None:
        raise typer.BadParameter("say what: --pipeline, --set, --sync or --latency")
    _say(asked(url, api_key, no_verify, lambda client: client.update(
        session, pipeline=stages, sync=sync, latency_ms=latency, parameters=parameters)), as_json)


@sessions.command()
def end(session: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """End a session; what was said and counted in it is kept for a while."""
    asked(url, api_key, no_verify, lambda client: client.delete(session))
    say(as_json, f"{session} is ended.", ended=session)


def _say(session: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(session)
        return
    stats = session.get("stats", {})
    hops, drops, latency = stats.get("hops", {}), stats.get("drops", {}), stats.get("latency") or {}
    facts(Session=session["id"], State=session["state"], Over=session["transport"], Whose=session["caller"],
          Begun=moment(session["created"]), App=session["app_id"], Pipeline=stages_of(session), Sync=session["sync"],
          Promised=f"{session['latency_ms']} ms" if session["latency_ms"] else None,
          Not_kept="it takes longer now" if latency.get("kept") is False else None,
          Video_ms_p50_p95=total(hops, "video") if hops else None,
          Audio_ms_p50_p95=total(hops, "audio") if hops else None,
          Dropped=", ".join(f"{count} {reason}" for reason, count in drops.items() if count))


def stages_of(session: dict[str, Any]) -> str:
    return " > ".join(stage["stage"] for stage in session["pipeline"]) or "(nothing)"


async def look(client: Client) -> dict[str, Any]:
    """The node's state, and every session with its statistics under "stats"."""
    node, listed = await asyncio.gather(client.ready(), client.sessions())
    stats = await asyncio.gather(*(_stats(client, session["id"]) for session in listed))
    both = zip(listed, stats, strict=True)
    return {"node": node, "sessions": [session | {"stats": figures} for session, figures in both]}


async def _stats(client: Client, session_id: str) -> dict[str, Any]:
    try:
        return await client.stats(session_id)
    except NotFound:  # it ended between the two questions
        return {"hops": {}, "drops": {}, "transport": {}}


async def _watch(client: Client, every: float) -> None:
    from rich.live import Live

    with Live(_picture(await look(client), client.url), auto_refresh=False, screen=True) as live:
        while True:
            await asyncio.sleep(every)
            live.update(_picture(await look(client), client.url), refresh=True)


def _picture(seen: dict[str, Any], url: str) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    node = seen["node"]
    head = Text.assemble((f"{url}  ", "bold"), (node["state"], "green" if node["state"] == "ready" else "yellow"),
                         f"  sessions {node['sessions']}/{node['max_sessions']}  load {node['load']:.0%}  "
                         f"loop lag {node['loop_lag_ms']:.1f} ms")
    table = Table("Session", "over", "state", "age", "pipeline", "video ms p50/p95", "audio ms p50/p95", "dropped",
                  box=None, pad_edge=False)
    for session in seen["sessions"]:
        latency = session["stats"].get("latency") or {}
        stages = " > ".join(_named(index, stage["stage"], latency) for index, stage in enumerate(session["pipeline"]))
        table.add_row(session["id"], session["transport"], session["state"], _age(time.time() - session["created"]),
                      stages or "(nothing)", total(session["stats"]["hops"], "video") + _promised(latency),
                      total(session["stats"]["hops"], "audio"),
                      str(sum(session["stats"]["drops"].values())))
    return Group(head, "", table if seen["sessions"] else "No sessions now.")


def total(hops: dict[str, dict[str, Any]], kind: str) -> str:
    """The whole way through the server, of the first track of this kind."""
    for track, of_track in sorted(hops.items()):
        if track.startswith(kind) and "total" in of_track:
            return f"{of_track['total']['p50']:.1f} / {of_track['total']['p95']:.1f}"
    return "-"


def _named(index: int, stage: str, latency: dict[str, Any]) -> str:
    """The stage, and with how much less it works."""
    rungs = {lowered["name"] for lowered in latency.get("stages", ()) if lowered["index"] == index}
    return f"{stage} ({', '.join(sorted(rungs))})" if rungs else stage


def _promised(latency: dict[str, Any]) -> str:
    if not latency:
        return ""
    rates = {lowered["name"] for lowered in latency["stages"] if lowered["index"] is None}
    told = [f"{latency['latency_ms']} promised", *(["not kept"] if latency["kept"] is False else []), *sorted(rates)]
    return f" ({', '.join(told)})"


def _age(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
