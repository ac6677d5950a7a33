"""`aimass vision`: a picture looked at by a server; `aimass faces`: people whom it knows by theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .given import sure
from .tables import facts, table

if TYPE_CHECKING:
    from ..client import Client

vision = typer.Typer(help="Look at a picture: detect, faces, classify, ocr.", no_args_is_help=True)
faces = typer.Typer(help="People whom a server knows by their face, for admins: list, enrol, forget.",
                    no_args_is_help=True)

Picture: TypeAlias = Annotated[Path, typer.Argument(help="Its file: JPEG, PNG or WebP.", exists=True, dir_okay=False)]
Model: TypeAlias = Annotated[str | None, typer.Option(help="Which network; without it the best there is.",
                                                      autocompletion=completing.versioned)]
Least: TypeAlias = Annotated[float | None, typer.Option("--threshold", help="Least score, 0 to 1.")]
Tiles: TypeAlias = Annotated[int | None, typer.Option(help="Look at parts of it too, up to so many across, for small "
                                                           "things.")]
Out: TypeAlias = Annotated[Path | None, typer.Option("--out", "-o", help="A PNG or JPEG file for the picture with all "
                                                                         "of it drawn in.")]


@vision.command()
def detect(picture: Picture, model: Model = None, threshold: Least = None, tiles: Tiles = None, out: Out = None,
           url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Say what is where in a picture."""
    found = _looked("detect", picture, out, (url, api_key, no_verify), as_json, model=model, threshold=threshold,
                    tiles=tiles)
    _things(found, as_json)


@vision.command("faces")
def find_faces(picture: Picture, model: Model = None, threshold: Least = None, tiles: Tiles = None, out: Out = None,
               url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Find faces in a picture."""
    found = _looked("faces", picture, out, (url, api_key, no_verify), as_json, model=model, threshold=threshold,
                    tiles=tiles)
    _things(found, as_json)


@vision.command()
def classify(picture: Picture, model: Model = None, threshold: Least = None,
             top: Annotated[int | None, typer.Option(help="Most labels.")] = None, out: Out = None,
             url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Say what a picture is of."""
    found = _looked("classify", picture, out, (url, api_key, no_verify), as_json, model=model, threshold=threshold,
                    top=top)
    if found is not None and not as_json:
        table(("Label", "Score"), [(each["label"], f"{each['score']:.3f}") for each in found["labels"]],
              "Nothing that it knows.")
        typer.echo(found["model"], err=True)


@vision.command()
def ocr(picture: Picture, threshold: Least = None, out: Out = None, url: Url = URL, api_key: Key = None,
        no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Read what is printed in a picture."""
    found = _looked("ocr", picture, out, (url, api_key, no_verify), as_json, threshold=threshold)
    for each in found["lines"] if found is not None and not as_json else ():
        typer.echo(each["text"])


def _looked(what: str, picture: Path, out: Path | None, server: tuple[str, str | None, bool], as_json: bool,
            **fields: object) -> dict[str, Any] | None:
    """What was found, which is printed as JSON if that is wanted; None where it was drawn into a file."""
    async def work(client: Client) -> dict[str, Any] | None:
        if out is None:
            found: dict[str, Any] = await getattr(client.vision, what)(picture, **fields)
            return found
        await client.vision.drawn(what, picture, out, **fields)
        return None

    found = asked(*server, work)
    if found is None:
        say(as_json, str(out), file=str(out))
    elif as_json:
        print_json(found)
    return found


def _things(found: dict[str, Any] | None, as_json: bool) -> None:
    if found is None or as_json:
        return
    table(("What", "Score", "x, y, width, height in px", "Says"), [
        (each["label"], f"{each['score']:.2f}", ", ".join(f"{number:.0f}" for number in each["box"]),
         each.get("text")) for each in found["detections"]], "Nothing that it knows.")
    typer.echo(found["model"], err=True)


@faces.command("list")
def list_faces(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List who is known, and how sure names are."""
    found = asked(url, api_key, no_verify, lambda client: client.faces.find())
    if as_json:
        print_json(found)
        return
    table(("Id", "Name", "Pictures", "Consent", "By", "Given"), [
        (each["id"], each["name"], each["pictures"], each["consent"]["words"], each["consent"]["by"],
         each["consent"]["when"]) for each in found["people"]], "Nobody is enrolled.")
    if found["people"] and not found["names"]:
        typer.echo(f"Nobody is named yet: {found['model']} has too few people to measure itself on.", err=True)


@faces.command()
def enrol(
    name: Annotated[str, typer.Argument(help="Whose face it is.")],
    pictures: Annotated[list[Path], typer.Argument(help="Files with their face alone, up to 12.", exists=True,
                                                   dir_okay=False)],
    consent: Annotated[str, typer.Option(help="The words that they agreed to.")],
    by: Annotated[str | None, typer.Option(help="Who agreed, where it was not they themselves.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Have somebody recognised from now on, who agreed to it."""
    person = asked(url, api_key, no_verify, lambda client: client.faces.enrol(
        pictures, name, consent=consent, consent_by=by))
    if as_json:
        print_json(person)
    else:
        facts(Person=person["id"], Name=person["name"], Pictures=person["pictures"])


@faces.command()
def forget(
    person: Annotated[str, typer.Argument(help="Their id.", autocompletion=completing.faces)],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Delete somebody with all that is kept of their face."""
    sure(yes, f"Delete {person} for good?")
    asked(url, api_key, no_verify, lambda client: client.faces.forget(person))
    say(as_json, f"{person} is forgotten.", deleted=person)
