"""`aimass join` and `aimass rooms`: have a server join somebody else's meeting, follow it, leave it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import URL, AsJson, Key, NoVerify, Pipeline, Url, asked, pipeline_of, print_json, say
from .tables import facts, moment, plain, table

if TYPE_CHECKING:
    from ..client import Client

join = typer.Typer(help="Have a server join a room of another meeting server: captions, processed video.",
                   no_args_is_help=True)
rooms = typer.Typer(help="Rooms of other meeting servers that a server is in: list, show, captions, leave.",
                    no_args_is_help=True)

KINDS = ("audio", "video")


@join.callback()
def root() -> None:
    """One command for each kind of meeting server."""


@join.command()
def janus(
    address: Annotated[str, typer.Argument(metavar="URL", help="Of Janus' websocket, as the server reaches it: "
                                                               "wss://janus.example/ws.")],
    room: Annotated[str, typer.Argument(help="The number or name of the video room.")],
    pipeline: Pipeline = "",
    name: Annotated[str | None, typer.Option(help="Ours in the room.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A participant's name or id: serve these alone.")] = None,
    publish: Annotated[list[str] | None, typer.Option(help="audio or video: show the room what comes of each one's.",
                                                      autocompletion=lambda: list(KINDS))] = None,
    captions: Annotated[bool, typer.Option("--captions/--no-captions",
                                           help="Post captions to the room's data channel.")] = True,
    most: Annotated[int | None, typer.Option(min=1, max=64, help="Participants served at once.")] = None,
    pin: Annotated[str, typer.Option(envvar="AIMASS_ROOM_PIN", help="Of the room.")] = "",
    token: Annotated[str, typer.Option(envvar="AIMASS_ROOM_TOKEN", help="Of Janus or the room.")] = "",
    api_secret: Annotated[str, typer.Option(envvar="AIMASS_JANUS_SECRET", help="Of Janus.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="End once it is joined; the server stays in the room.")
                      ] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Join a VideoRoom of Janus, and print what is said until Ctrl-C: then the server leaves it."""
    for each in publish or ():
        if each not in KINDS:
            raise typer.BadParameter("it is audio or video", param_hint="--publish")
    stages = pipeline_of(pipeline) if pipeline else None

    async def work(client: Client) -> None:
        joined = await client.rooms.join(
            address, room, pipeline=stages, name=name, pin=pin or None, token=token or None,
            api_secret=api_secret or None, participants=only or None, publish=publish or None, captions=captions,
            max_participants=most)
        if detach:
            say(as_json, f"Joined. Leave it with: aimass rooms leave {joined['id']}", **joined)
            return
        try:
            async for event in client.rooms.follow(joined["id"]):
                _print(event, as_json)
        finally:
            await client.rooms.leave(joined["id"])

    asked(url, api_key, no_verify, work, kept="The server has left the room.")


def _print(event: dict[str, Any], as_json: bool) -> None:
    """A line of JSON, or one for people. Names and words are what others typed and said."""
    if as_json:
        typer.echo(json.dumps(event))
        return
    kind, who = event["type"], plain(event.get("name", ""))
    lines = {"room.joined": "Joined.", "room.waiting": f"Cut off: {event.get('reason')}. Joining again.",
             "room.ended": f"The room is over: {event.get('reason')}.", "participant.joined": f"{who} is there.",
             "participant.left": f"{who} has left.",
             "participant.renamed": f"{plain(event.get('before', ''))} is {who} now."}
    if kind == "participant.state" and event["state"] in ("waiting", "ended"):
        lines[kind] = f"{who}: {plain(event['detail'])}"
    elif kind == "caption" and event["final"]:
        lines[kind] = f"{who}: {plain(event['text'])}"
    if kind in lines:
        typer.echo(lines[kind])


@rooms.command("list")
def list_rooms(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the rooms that the server is in for one, or was."""
    found = asked(url, api_key, no_verify, lambda client: client.rooms.find())
    if as_json:
        print_json(found)
        return
    table(("Id", "Room", "State", "Since", "Participants", "Served"), [
        (each["id"], f"{each['kind']} {each['room']}", each["state"], moment(each["created"]),
         len(each["participants"]), sum(one["state"] == "served" for one in each["participants"]))
        for each in found], "It is in no room. Join one: aimass join janus wss://janus.example/ws 1234")


Id = Annotated[str, typer.Argument(metavar="ROOM", help="Its id; `aimass rooms list` has it.")]


@rooms.command()
def show(room: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show a room, and what is done for whom."""
    found = asked(url, api_key, no_verify, lambda client: client.rooms.show(room))
    if as_json:
        print_json(found)
        return
    facts(Id=found["id"], Room=f"{found['kind']} {found['room']}", State=found["state"], Reason=found["reason"],
          Pipeline=" > ".join(stage["stage"] for stage in found["pipeline"]), Captions=found["captions_sent"])
    typer.echo("")
    table(("Participant", "Name", "Tracks", "State", "Session"), [
        (each["id"], each["name"], ", ".join(each["tracks"]), each["detail"] or each["state"], each["session_id"])
        for each in found["participants"]], "Nobody else is there.")


@rooms.command()
def captions(room: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Print what was said in a room, by whom."""
    found = asked(url, api_key, no_verify, lambda client: client.rooms.captions(room))
    if as_json:
        print_json(found)
        return
    for each in found:
        typer.echo(f"{moment(each['at'])}  {plain(each['name'])}: {plain(each['text'])}")


@rooms.command()
def leave(room: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Leave a room."""
    asked(url, api_key, no_verify, lambda client: client.rooms.leave(room))
    say(as_json, "Left.", left=room)
