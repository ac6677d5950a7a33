"""`aimass jobs`: what takes longer than a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from . import completing
from .common import URL, AsJson, Key, NoVerify, Url, asked, print_json, say
from .tables import amount, bar, facts, moment, plain, table

if TYPE_CHECKING:
    from ..client import Client
    from ..client.records import Job

jobs = typer.Typer(help="Jobs of a server: list, show, watch, preview, result, cancel, delete.", no_args_is_help=True)

Id: TypeAlias = Annotated[str, typer.Argument(metavar="JOB", help="Its id.", autocompletion=completing.jobs)]
STATES = ("queued", "running", "done", "failed", "cancelled")


@jobs.command("list")
def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Of one kind alone.")] = None,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATES)}.",
                                              autocompletion=lambda: list(STATES))] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="All there are, for admins.")] = False,
    url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False,
) -> None:
    """List one's jobs, the newest first."""
    found = asked(url, api_key, no_verify, lambda client: client.jobs.find(kind=kind, state=state, everybody=everybody))
    if as_json:
        print_json(found)
        return
    table(("Id", "Kind", "State", "Done", "Begun", "Message"), [
        (each.id, each.kind, each.state, f"{each.progress:.0%}", moment(each.created), _message(each))
        for each in found], "No jobs.")


@jobs.command()
def show(job: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Show how far a job is, and what came of it."""
    _say(asked(url, api_key, no_verify, lambda client: client.jobs.show(job)), as_json)


@jobs.command()
def watch(job: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Follow a job to its end; Ctrl-C does not end it. With --json a line each time that something is new."""
    async def work(client: Client) -> Job:
        with bar(quiet=as_json, bytes=False) as told:
            async for seen in client.jobs.watch(job):
                told(seen.kind, round(1000 * seen.progress), 1000)
                if as_json:
                    typer.echo(_line(seen))
        return seen

    seen = asked(url, api_key, no_verify, work, kept=f"The job goes on; this ends it: aimass jobs cancel {job}")
    if not as_json:
        _say(seen, as_json)
    raise typer.Exit(int(seen.state != "done"))


@jobs.command()
def result(job: Id, out: Annotated[Path, typer.Option("--out", "-o", help="A file, or a folder for it.")] = Path(),
           url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Fetch what came of a job."""
    with bar(quiet=as_json) as told:
        path = asked(url, api_key, no_verify, lambda client: client.jobs.result(
            job, out, lambda done, total: told(job, done, total)),
            kept="The server has it still: the same command fetches it anew.")
    say(as_json, str(path), file=str(path))


@jobs.command()
def preview(job: Id, out: Annotated[Path, typer.Option("--out", "-o", help="A JPEG file.")],
            url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """Save the last picture of what a job is making."""
    path = asked(url, api_key, no_verify, lambda client: client.jobs.preview(job, out))
    say(as_json, str(path), file=str(path))


@jobs.command()
def cancel(job: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """End a job, and keep what is known of it for a while."""
    _say(asked(url, api_key, no_verify, lambda client: client.jobs.cancel(job)), as_json)


@jobs.command()
def delete(job: Id, url: Url = URL, api_key: Key = None, no_verify: NoVerify = False, as_json: AsJson = False) -> None:
    """End a job, if it is not over, and forget it with its result."""
    asked(url, api_key, no_verify, lambda client: client.jobs.delete(job))
    say(as_json, f"{job} is forgotten.", deleted=job)


def _say(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    made = job.result
    facts(Job=job.id, Kind=job.kind, State=job.state, Done=f"{job.progress:.0%}", Message=_message(job),
          Seconds_left=job.eta if not job.over else None, Begun=moment(job.created),
          Result=None if made is None else f"{made.name}, {amount(made.bytes)}: aimass jobs result {job.id}",
          Kept_until=moment(job.expires))


def _message(job: Job) -> str:
    return plain(job.error.get("detail", "") if job.error else job.message)


def _line(job: Job) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(job))
