"""`aimass join` and `aimass rooms`: have a server join somebody else's meeting, follow it, leave it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Pipeline, Url, asked, pipeline_of, print_json, say
from .given import app_or_pipeline, set_of
from .tables import facts, moment, plain, table

if TYPE_CHECKING:
    from ..client import Client

T = TypeVar("T")

join = typer.Typer(help="Have a server join a room of another meeting server: captions, processed video.",
                   no_args_is_help=True)
rooms = typer.Typer(help="Rooms of other meeting servers that a server is in: list, show, captions, leave.",
                    no_args_is_help=True)

KINDS = ("audio", "video")
FORSAKEN = 60.0  # s after which a server leaves when the command that joined has vanished
FIELDS = {"url": None, "room": None, "room_id": None, "kind": None,  # which the sentence says itself
          "name": "--name", "pin": "--pin", "token": "--token", "app_id": "--app", "assistant.name": "--assistant"}


@join.callback()
def root() -> None:
    """One command for each kind of meeting server."""


Name: TypeAlias = Annotated[str | None, typer.Option(help="Ours in the room.")]
Only: TypeAlias = Annotated[list[str] | None, typer.Option(help="A participant's name or id: serve these alone.")]
App: TypeAlias = Annotated[str, typer.Option(help="An app by its slug or id, in place of a pipeline.",
                                             autocompletion=completing.apps)]
Given: TypeAlias = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What of the app is "
                                                            "set; may be said several times.")]
Publish: TypeAlias = Annotated[list[str] | None, typer.Option(
    help="audio or video: show the room what comes of each one's.", autocompletion=lambda: list(KINDS))]
Captions: TypeAlias = Annotated[bool, typer.Option("--captions/--no-captions",
                                                   help="Post captions to the room's data channel.")]
Most: TypeAlias = Annotated[int | None, typer.Option(min=1, max=64, help="Participants served at once.")]
Assistant: TypeAlias = Annotated[str, typer.Option(metavar="NAME", help="Have a voice there that answers who calls it "
                                                   "by this name.")]
Detach: TypeAlias = Annotated[bool, typer.Option("--detach", help="End once it is joined; the server stays there.")]


@join.command()
def janus(
    address: Annotated[str, typer.Argument(metavar="URL", help="Of Janus' websocket, as the server reaches it: "
                                                               "wss://janus.example/ws.")],
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The number or name of the video room.")],
    pipeline: Pipeline = "", app: App = "", given: Given = None, name: Name = None, only: Only = None,
    publish: Publish = None, captions: Captions = True, most: Most = None, assistant: Assistant = "",
    pin: Annotated[str, typer.Option(envvar="AIMASS_ROOM_PIN", help="Of the room.")] = "",
    token: Annotated[str, typer.Option(envvar="AIMASS_ROOM_TOKEN", help="Of Janus or the room.")] = "",
    api_secret: Annotated[str, typer.Option(envvar="AIMASS_JANUS_SECRET", help="Of Janus.")] = "",
    detach: Detach = False, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Join a VideoRoom of Janus, and print what is said until Ctrl-C: then the server leaves it."""
    wanted = _wanted(pipeline, app, given, name=name, participants=only, publish=publish, captions=captions,
                     max_participants=most, assistant=assistant, pin=pin, token=token,
                     api_secret=api_secret)
    _stay(address, room, "janus", wanted, detach, (url, api_key, no_verify), as_json)


@join.command()
def livekit(
    address: Annotated[str, typer.Argument(metavar="URL", help="Of LiveKit, as the server reaches it: "
                                                               "wss://livekit.example.")],
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The room's name.")],
    pipeline: Pipeline = "", app: App = "", given: Given = None, name: Name = None, only: Only = None,
    publish: Publish = None, captions: Captions = True, most: Most = None, assistant: Assistant = "",
    token: Annotated[str, typer.Option(envvar="LIVEKIT_TOKEN", help="For this room.")] = "",
    key: Annotated[str, typer.Option("--livekit-key", envvar="LIVEKIT_API_KEY", help="Of LiveKit, in place of a token; "
                                     "with --livekit-secret.")] = "",
    secret: Annotated[str, typer.Option("--livekit-secret", envvar="LIVEKIT_API_SECRET", help="Of that key.")] = "",
    detach: Detach = False, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Join a room of LiveKit, and print what is said until Ctrl-C: then the server leaves it."""
    if not token and not (key and secret):
        raise typer.BadParameter("say --token, or --livekit-key and --livekit-secret", param_hint="--token")
    opening = {"token": token} if token else {"api_key": key, "api_secret": secret}
    wanted = _wanted(pipeline, app, given, name=name, participants=only, publish=publish, captions=captions,
                     max_participants=most, assistant=assistant, **opening)
    _stay(address, room, "livekit", wanted, detach, (url, api_key, no_verify), as_json)


def _wanted(pipeline: str, app: str, given: list[str] | None, **said: Any) -> dict[str, Any]:
    """Of `Client.rooms.join`, without what was not said."""
    for each in said["publish"] or ():
        if each not in KINDS:
            raise typer.BadParameter("it is audio or video", param_hint="--publish")
    stages, parameters = pipeline_of(pipeline) if pipeline else None, set_of(given or [])
    app_or_pipeline(app, stages or [], parameters)
    assistant = {"name": said["assistant"]} if said["assistant"] else None
    told = said | {"app": app, "parameters": parameters, "assistant": assistant}
    return {"pipeline": stages} | {name: value for name, value in told.items() if value not in ("", None, [], {})}


def _stay(address: str, room: str, kind: str, wanted: dict[str, Any], detach: bool, to: tuple[str, str | None, bool],
          as_json: bool) -> None:
    """Join, and follow what happens until it is over or somebody presses Ctrl-C."""
    async def work(client: Client) -> None:
        joined = await client.rooms.join(address, room, kind=kind, leave_after=None if detach else FORSAKEN, **wanted)
        if detach:
            say(as_json, f"Joined. Leave it with: aimass rooms leave {joined['id']}", **joined)
            return
        try:
            async for event in client.rooms.follow(joined["id"]):
                _print(event, as_json)
        finally:
            await client.rooms.leave(joined["id"])

    _asked(*to, work, kept="The server has left the room.")


def _asked(url: str, api_key: str | None, no_verify: bool, work: Callable[[Client], Awaitable[T]],
           kept: str | None = None) -> T:
    """`asked`, with what is said of a field said of the option that gives it."""
    async def told(client: Client) -> T:
        from ..errors import AimassError

        try:
            return await work(client)
        except AimassError as error:
            error.field = FIELDS.get(error.field or "", error.field)
            raise

    return asked(url, api_key, no_verify, told, kept=kept)


def _print(event: dict[str, Any], as_json: bool) -> None:
    """A line of JSON, or one for people. Names and words are what others typed and said."""
    if as_json:
        typer.echo(json.dumps(event))
        return
    kind, who, reason = event["type"], plain(event.get("name", "")), plain(event.get("reason", ""))
    lines = {"room.joined": "Joined.", "room.waiting": f"Cut off: {reason}. Joining again.",
             "room.ended": f"The room is over: {reason}.", "participant.joined": f"{who} is there.",
             "participant.left": f"{who} has left.",
             "participant.renamed": f"{plain(event.get('before', ''))} is {who} now."}
    if kind == "participant.state" and event["state"] in ("waiting", "ended"):
        lines[kind] = f"{who}: {plain(event['detail'])}"
    elif kind == "assistant.state" and event["state"] in ("waiting", "ended"):
        lines[kind] = f"The assistant: {plain(event['detail'])}"
    elif kind == "caption" and event["final"]:
        lines[kind] = f"{who}: {plain(event['text'])}"
    if kind in lines:
        typer.echo(lines[kind])


@rooms.command("list")
def list_rooms(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List the rooms that the server is in for one, or was."""
    found = _asked(url, api_key, no_verify, lambda client: client.rooms.find())
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
    found = _asked(url, api_key, no_verify, lambda client: client.rooms.show(room))
    if as_json:
        print_json(found)
        return
    assistant = found["assistant"] or {"name": "", "state": "", "detail": ""}
    facts(Id=found["id"], Room=f"{found['kind']} {found['room']}", State=found["state"], Reason=found["reason"],
          Pipeline=" > ".join(stage["stage"] for stage in found["pipeline"]), Captions=found["captions_sent"],
          Assistant=": ".join(filter(None, (assistant["name"], assistant["state"], assistant["detail"]))))
    typer.echo("")
    table(("Participant", "Name", "Tracks", "State", "Session"), [
        (each["id"], each["name"], ", ".join(each["tracks"]), each["detail"] or each["state"], each["session_id"])
        for each in found["participants"]], "Nobody else is there.")


@rooms.command()
def captions(room: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
             ) -> None:
    """Print what was said in a room, by whom."""
    found = _asked(url, api_key, no_verify, lambda client: client.rooms.captions(room))
    if as_json:
        print_json(found)
        return
    for each in found:
        typer.echo(f"{moment(each['at'])}  {plain(each['name'])}: {plain(each['text'])}")


@rooms.command()
def leave(room: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Leave a room."""
    _asked(url, api_key, no_verify, lambda client: client.rooms.leave(room))
    say(as_json, "Left.", left=room)
