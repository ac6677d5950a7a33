"""`aimass sessions`: what a node does, live in the terminal."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import NotFound
from .common import URL, AsJson, Key, NoVerify, Url, print_json, run

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..client import Client


def sessions(
    url: Url = URL,
    api_key: Key = None,
    no_verify: NoVerify = False,
    once: Annotated[bool, typer.Option("--once", help="Print once and end.")] = False,
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch the sessions of a server: their pipelines, delays and drops."""

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
