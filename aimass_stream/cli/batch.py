"""`aimass batch`: a file of many requests for inference, answered as a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .tables import amount, bar, facts, moment, plain, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Batch

batch = typer.Typer(help="Many requests for inference in a file: send, list, show, watch, answers, cancel, files.",
                    no_args_is_help=True)

Id: TypeAlias = Annotated[str, typer.Argument(metavar="BATCH", help="Its id.", autocompletion=completing.batches)]
Out: TypeAlias = Annotated[Path | None, typer.Option("--out", "-o", help="Where the answers are written: JSON lines.")]


@batch.command()
def send(
    file: Annotated[Path, typer.Argument(help='Lines as {"custom_id": "a", "method": "POST", "url": "/predict/fish", '
                                              '"body": {"input": [1]}}.', exists=True, dir_okay=False)],
    endpoint: Annotated[str, typer.Option(help="What all the paths in it begin with.")] = "/predict",
    out: Out = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """Send a file of requests, follow it to its end, and save the answers. Ctrl-C does not end it."""
    if wait:
        out = _place(out or file.with_name(f"{file.stem}-answers.jsonl"))

    async def begin(client: Client) -> Batch:
        sent = await client.batches.send(file)
        return await client.batches.begin(sent.id, endpoint)

    begun = asked(url, api_key, no_verify, begin)
    if not wait:
        _say(begun, as_json)
        return
    typer.echo(f"{begun.id} has begun.", err=True)
    _follow(begun.id, out, url, api_key, no_verify, as_json)


@batch.command()
def watch(batch_id: Id, out: Out = None, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False,
          as_json: AsJson = False) -> None:
    """Follow a batch to its end; with --out, save its answers. Ctrl-C does not end it."""
    _follow(batch_id, None if out is None else _place(out), url, api_key, no_verify, as_json)


@batch.command("list")
def list_batches(url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """List one's batches, the newest first."""
    found = asked(url, api_key, no_verify, lambda client: client.batches.find())
    if as_json:
        print_json(found)
        return
    table(("Id", "State", "For", "Answered", "Begun"), [
        (each.id, each.status, each.endpoint, _counts(each), moment(each.created_at)) for each in found], "No batches.")


@batch.command()
def show(batch_id: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
         ) -> None:
    """Show how far a batch is, or why it failed."""
    _say(asked(url, api_key, no_verify, lambda client: client.batches.show(batch_id)), as_json)


@batch.command()
def answers(batch_id: Id, out: Annotated[Path, typer.Option("--out", "-o", help="The file: JSON lines.")],
            url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Save the answers of a batch that is completed."""
    _place(out)
    path = asked(url, api_key, no_verify, lambda client: client.batches.answers(batch_id, out))
    say(as_json, str(path), file=str(path))


@batch.command()
def cancel(batch_id: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False
           ) -> None:
    """End a batch; lines that are answered were asked for."""
    _say(asked(url, api_key, no_verify, lambda client: client.batches.cancel(batch_id)), as_json)


@batch.command()
def files(
    delete: Annotated[str | None, typer.Option(metavar="FILE", help="Forget this one instead.")] = None,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List the files of requests that were sent."""
    if delete is not None:
        asked(url, api_key, no_verify, lambda client: client.batches.delete(delete))
        say(as_json, f"{delete} is forgotten.", deleted=delete)
        return
    found = asked(url, api_key, no_verify, lambda client: client.batches.files())
    if as_json:
        print_json(found)
        return
    table(("Id", "Name", "Size", "Sent", "Kept until"), [
        (each.id, each.filename, amount(each.bytes), moment(each.created_at), moment(each.expires_at))
        for each in found], "No files.")


def _place(out: Path) -> Path:
    """Where the answers will be written, looked at before anything is asked."""
    if out.is_dir() or not out.parent.is_dir():
        wrong = f"{out} is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise typer.BadParameter(wrong, param_hint="--out")
    return out


def _follow(batch_id: str, out: Path | None, url: str, api_key: str | None, no_verify: bool, as_json: bool) -> None:
    async def work(client: Client) -> Batch:
        with bar(quiet=as_json, bytes=False) as told:
            done = await client.batches.wait(batch_id, lambda job: told(
                job.message or job.kind, round(1000 * job.progress), 1000))
        if out is not None:
            await client.batches.answers(batch_id, out)
        return done

    done = asked(url, api_key, no_verify, work, kept=f"The batch goes on; this ends it: aimass batch cancel {batch_id}")
    _say(done, as_json)
    if out is not None and not as_json:
        typer.echo(str(out))


def _say(told: Batch, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    wrong = [f"line {each['line']}: {each['message']}" if each.get("line") else each["message"]
             for each in (told.errors or {}).get("data", [])]
    facts(Batch=told.id, State=told.status, For=told.endpoint, Answered=_counts(told), Wrong=plain("; ".join(wrong)),
          Begun=moment(told.created_at), Kept_until=moment(told.expires_at), Job=told.job)


def _counts(told: Batch) -> str:
    counts = told.request_counts
    refused = counts.get("failed", 0)
    return f"{counts.get('completed', 0) + refused} of {counts.get('total', 0)}" + (
        f", {refused} refused" if refused else "")
