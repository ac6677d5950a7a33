"""`aimass models`, `predict`, `jobs`, `keys`, `users`, `login` against a server where people sign in."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from aimass_stream.cli.main import COMMANDS, build
from tests.support.accounts import PASSWORD
from tests.support.command import Done, clean, here
from tests.support.model_files import MATRIX, linear
from tests.support.server import served

KEY = "a key for tests"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens

Aimass = Callable[..., Done]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served("--accounts", env={"AIMASS_API_KEY": KEY, "AIMASS_SIGN_UP": "true"}) as (url, _):
        yield url


@pytest.fixture
def aimass(url: str) -> Aimass:
    """A command for the server, by its own key."""
    return lambda *arguments, **more: here(*arguments, **({"AIMASS_URL": url, "AIMASS_API_KEY": KEY} | more))


def told(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_commands_start_without_what_servers_need() -> None:
    heavy = ("import atexit, sys; sys.argv = ['aimass', 'models', 'list']; from aimass_stream.cli import main; "
             "atexit.register(lambda: print([name for name in ('numpy', 'cv2', 'av', 'torch', 'sqlalchemy', 'fastapi', "
             "'websockets', 'pygments', 'rich', 'h2') if sys.modules.get(name)])); main()")
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=False,
                            env=clean() | {"AIMASS_URL": NOWHERE})
    assert "aimass serve" in loaded.stderr
    assert loaded.stdout.strip() == "[]"


def commands(one: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that lead to it."""
    if not hasattr(one, "commands"):
        yield path, one
        return
    for name, inner in one.commands.items():
        yield from commands(inner, (*path, name))


def test_every_command_that_asks_a_server_has_json_and_says_what_it_does() -> None:
    for path, command in commands(get_command(build(list(COMMANDS)))):
        options = {option for parameter in command.params for option in parameter.opts}
        assert (command.help or "").strip(), path
        assert "--json" in options or "--server" not in options or path[0] == "talk", path
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.name in ("show_completion", "install_completion",
                                                                          "quotas"), (path, parameter.name)


def test_ctrl_c_says_what_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(linear())
    for arguments, says in ((["models", "upload", "fish", str(file)], "kept for a day"),
                            (["jobs", "watch", "job_1"], "aimass jobs cancel job_1"),
                            (["sessions"], "Stopped.\n")):  # it only looked
        with socket.create_server(("127.0.0.1", 0)) as silent, subprocess.Popen(
                [sys.executable, "-m", "aimass_stream", *arguments, "--json"], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
                env=clean() | {"AIMASS_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}) as process:
            asking, _ = silent.accept()
            assert asking.recv(1)  # it is connected, and waits for the answer
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
            asking.close()
        assert (process.returncode, out) == (130, "")
        assert says in errors


def test_a_model_goes_up_serves_and_goes_back(aimass: Aimass, tmp_path: Path) -> None:
    one, two = tmp_path / "model.onnx", tmp_path / "two" / "model.onnx"
    one.write_bytes(linear(bias=1))
    two.parent.mkdir()
    two.write_bytes(linear(2 * MATRIX, bias=1))
    done = aimass("models", "upload", "fish", str(one), "--example", '{"x": [[1, 2, 3]]}', "--title", "A [red]fish",
                  "--task", "regression", "--tag", "sea", "--card", "# Swims [red]well", "--note", "the first")
    assert done.code == 0, done.err
    assert "fish@1 is ready." in done.out
    assert "aimass models deploy fish@1" in done.out
    assert "fish@production is version 1 now." in aimass("models", "deploy", "fish").out
    assert json.loads(aimass("predict", "fish", "[[1, 1, 1]]").out) == [[10, 13]]
    assert "fish is fish@2 now." in aimass("models", "upload", "fish", str(two.parent), "--deploy").out
    listed = aimass("models", "list", "--task", "regression").out
    assert "A [red]fish" in listed
    assert "production 2" in listed
    shown = aimass("models", "show", "fish").out
    assert "# Swims [red]well" in shown
    assert "the first" in shown
    assert told(aimass("predict", "fish", "-", "--json", typed="[[1, 1, 1]]")) == {
        "output": [[19, 25]], "model": "fish@2", "reason": "production"}
    assert "fish@production is version 1 now." in aimass("models", "rollback", "fish").out
    assert [each["version"] for each in told(aimass("models", "history", "fish", "--json"))] == [1, 2, 1]
    assert "fish@beta is version 2 now." in aimass("models", "alias", "fish", "beta", "2").out
    assert {"beta", "production"} <= set(aimass("models", "alias", "fish").out.split())
    assert "canary" in aimass("models", "deploy", "fish@1", "--canary", "2", "--share", "10").out
    compared = aimass("models", "compare", "fish", "1").out
    assert "fish@2" in compared
    assert "1 changed (" in compared
    assert "MatMul" in aimass("models", "graph", "fish").out
    assert told(aimass("models", "try", "fish@2", '{"x": [[1, 1, 1]]}')) == {"y": [[19, 25]]}
    assert "4.0 of 5 stars; rated by 1" in aimass("models", "rate", "fish", "4", "--comment", "good").out
    assert "good" in aimass("models", "comments", "fish").out
    fetched = aimass("models", "download", "fish@1", "--out", str(tmp_path / "into")).out.split()
    assert Path(fetched[0]).read_bytes() == one.read_bytes()
    assert aimass("models", "alias", "fish", "beta", "--remove").code == 0
    deadline = time.monotonic() + 60
    while "fish" not in aimass("usage", "--by", "model").out:  # what was asked is written in time
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert {"value", "requests"} <= set(told(aimass("usage", "--by", "time", "--json"))[0])


def test_what_is_wrong_is_said(aimass: Aimass, url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(linear()[:-9])
    refused = aimass("models", "upload", "cut", str(broken))
    assert refused.code == 1
    assert "cut@1 is refused: " in refused.out
    assert "Then say --yes" in aimass("models", "delete", "cut").err
    assert "cut is deleted" in aimass("models", "delete", "cut", "--yes").out
    for arguments, code, says in [
            (["models", "show", "cut"], 1, "cut"), (["models", "list", "--url", NOWHERE], 1, "aimass serve"),
            (["predict", "cut", "[1, 2"], 2, "this is not JSON"), (["predict", "cut"], 2, "--describe"),
            (["models", "deploy", "cut", "--canary", "2"], 2, "--share"), (["jobs", "show", "job_none"], 1, "job_none"),
            (["models", "delete", "cut@new", "--yes"], 2, "no version"),
            (["users", "role", "nobody", "user"], 1, "nobody"),
            (["models", "list", "--server", "127.0.0.1:9"], 1, NOWHERE),
            (["models", "list", "--key", "aim_wrong"], 1, "aimass login")]:
        done = aimass(*arguments)
        assert done.code == code, arguments
        assert says in " ".join(done.err.replace("│", " ").split()), done.err


def test_people_keys_and_logins(aimass: Aimass, url: str, tmp_path: Path) -> None:
    def ada(*arguments: str, **more: str) -> Done:
        return here(*arguments, XDG_CONFIG_HOME=str(tmp_path), **more)

    assert ada("models", "list", "--server", url).code == 1
    invited = aimass("users", "create", "ada", "--role", "developer")
    done = ada("login", "--server", url, "--token", invited.out.strip(), "--password-stdin", typed=f"{PASSWORD}\n")
    assert done.code == 0, done.err
    assert f"ada, developer at {url}." in done.out
    kept = tmp_path / "aimass" / "login.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ada("models", "list").code == 0  # where it signed in, by the key that it got
    made = ada("keys", "create", "reader", "--scope", "models:read", "--days", "1", "--quota", "requests=50")
    key = made.out.strip()
    assert re.fullmatch(r"aim_\w{8}_[\w-]{43}", key)
    assert aimass("models", "list", AIMASS_API_KEY=key).code == 0
    refused = aimass("models", "upload", "bird", __file__, AIMASS_API_KEY=key)
    assert "models:write" in refused.err
    assert "is revoked" in ada("keys", "revoke", key).out
    assert "Sign in with `aimass login`" in aimass("models", "list", AIMASS_API_KEY=key).err
    assert "revoked" in ada("keys", "show", key[:12]).out
    kept_key = told(ada("keys", "list", "--json"))[1]["id"]
    assert "requests 70" in ada("keys", "change", kept_key, "--title", "laptop", "--quota", "requests=70").out
    listed = told(ada("keys", "list", "--json"))
    assert [bool(each["revoked"]) for each in listed] == [True, False]
    assert key not in str(listed)
    assert "reviewer" in aimass("users", "role", "ada", "reviewer").out
    assert "session_minutes 7" in aimass("users", "quota", "ada", "session_minutes=7").out
    assert "ada" in aimass("users", "list").out
    assert "No jobs." in ada("jobs", "list").out
    assert "lab (team_" in ada("teams", "create", "lab").out
    assert told(ada("teams", "change", "lab", "--title", "The lab", "--json"))["title"] == "The lab"
    assert ada("teams", "add", "lab", "nobody").code == 1
    token = aimass("users", "create", "bob").out.strip()
    assert here("login", "--server", url, "--token", token, "--password-stdin", typed=f"{PASSWORD}\n",
                XDG_CONFIG_HOME=str(tmp_path / "bob")).code == 0
    assert "bob" in ada("teams", "add", "lab", "bob").out
    assert "bob" not in ada("teams", "remove", "lab", "bob").out
    assert "ada (owner)" in ada("teams", "list").out
    assert "lab is no more." in ada("teams", "delete", "lab", "--yes").out
    assert "key.revoked" in ada("audit", "--what", "key.").out
    assert {entry["name"] for entry in told(ada("audit", "--json"))} == {"ada"}
    assert "revoked and forgotten" in ada("logout").out
    assert "aim_" not in kept.read_text()
    assert "disabled" in aimass("users", "disable", "ada").out
    wrong = ada("login", "--server", url, "--name", "ada", "--password-stdin", typed=f"{PASSWORD}\n")
    assert wrong.code == 1
    assert "Sign in with" not in wrong.err
    used = ada("login", "--server", url, "--token", token, "--password-stdin", typed=f"{PASSWORD}\n")
    assert "aimass users link" in used.err
    assert "Sign in with" not in used.err
    assert "erased" in aimass("users", "delete", "ada", "--yes").out


def test_what_is_ones_own(aimass: Aimass, url: str, tmp_path: Path) -> None:
    def carl(*arguments: str, **more: str) -> Done:
        return here(*arguments, **({"XDG_CONFIG_HOME": str(tmp_path)} | more))

    def asked(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = told(carl("requests", *arguments, "--json"))
        return found

    token = aimass("users", "create", "carl").out.strip()
    assert carl("login", "--server", url, "--token", token, "--password-stdin", typed=f"{PASSWORD}\n").code == 0
    assert "carl" in carl("account", "show").out
    assert "concurrent sessions" in carl("account", "limits").out
    assert "Carl the Great" in carl("account", "change", "--title", "Carl the Great").out
    assert "Carl the Great" in str(told(carl("account", "export")))
    assert "Carl the Great" in aimass("users", "show", "carl").out
    assert "Carl the Great" in str(told(aimass("users", "export", "carl")))
    wrong = carl("account", "password", "--password-stdin", typed="nothing\nsomething longer\n")
    assert wrong.code == 1
    assert "is set" in carl("account", "password", "--password-stdin", typed=f"{PASSWORD}\nsomething longer\n").out
    assert "No browser" in carl("account", "sign-ins").out
    assert carl("account", "sign-ins", "--end", "ses_none").code == 1

    first, second, third = (asked("ask", "quota", f"{minutes} minutes a day")["id"] for minutes in (100, 200, 300))
    assert "100 minutes a day" in carl("requests", "list").out
    assert carl("requests", "grant", first).code == 1  # by an admin
    assert "granted" in aimass("requests", "grant", first, "--answer", "from Monday").out
    assert "declined" in aimass("requests", "decline", second, "--answer", "too many").out
    assert "from Monday" in carl("requests", "show", first).out
    assert "withdrawn" in carl("requests", "withdraw", third).out
    assert told(aimass("requests", "list", "--everybody", "--state", "open", "--json")) == []
    assert "quota" in carl("requests", "ask", "nonsense", "more").err
    assert carl("account", "erase", "--yes", "--password-stdin", typed="wrong\n").code == 1
    assert "erased" in carl("account", "erase", "--yes", "--password-stdin", typed="something longer\n").out
    assert carl("account", "show").code == 1


APP: dict[str, Any] = {
    "name": "Soft focus", "summary": "A softer picture", "pipeline": [{"stage": "blur", "id": "soft", "sigma": 4}],
    "parameters": {"softness": {"path": "soft.sigma", "title": "How soft", "maximum": 20}},
    "example": {"input": {"picture": {"draw": "EXIT"}, "count": 1}, "expect": {"video": 1}}}


def test_an_app_is_drafted_decided_on_by_another_and_published(aimass: Aimass, url: str, tmp_path: Path) -> None:
    def key(name: str, role: str) -> str:
        home = tmp_path / name
        token = aimass("users", "create", name, "--role", role).out.strip()
        done = here("login", "--server", url, "--token", token, "--password-stdin", typed=f"{PASSWORD}\n",
                    XDG_CONFIG_HOME=str(home))
        assert done.code == 0, done.err
        return str(json.loads((home / "aimass" / "login.json").read_text())["keys"][url]["key"])

    ada, rita = {"AIMASS_API_KEY": key("eva", "developer")}, {"AIMASS_API_KEY": key("rita", "reviewer")}
    manifest = tmp_path / "app.json"
    manifest.write_text(json.dumps(APP))
    assert "Soft focus, version 1, is draft" in aimass("apps", "create", f"@{manifest}", "--slug", "soft", **ada).out
    assert "is draft" in aimass("apps", "change", "soft", json.dumps(APP | {"summary": "Softer"}), **ada).out
    assert "is submitted" in aimass("apps", "submit", "soft", **ada).out
    assert "soft" in aimass("apps", "queue", **rita).out
    assert aimass("apps", "approve", "soft", **ada).code == 1
    assert "is rejected" in aimass("apps", "reject", "soft", "--reason", "too soft", **rita).out
    assert "too soft" in aimass("apps", "show", "soft", **ada).out
    aimass("apps", "change", "soft", f"@{manifest}", **ada)
    for step, who in (("submit", ada), ("approve", rita), ("publish", ada)):
        assert aimass("apps", step, "soft", **who).code == 0
    assert "published" in aimass("apps", "versions", "soft", **ada).out
    assert "does what its example expects" in aimass("apps", "probe", "soft", **rita).out
    assert "Featured:" in aimass("apps", "feature", "soft", **rita).out
    assert "Featured:" not in aimass("apps", "feature", "soft", "--off", **rita).out
    assert aimass("apps", "feature", "soft", **ada).code == 1  # one's own
    assert "A softer picture" in aimass("apps", "list", **ada).out
    assert "How soft" in aimass("apps", "show", "soft", **rita).out
    came = aimass("apps", "run", "soft", json.dumps(APP["example"]["input"]), "--set", "softness=9", "--out",
                  str(tmp_path / "soft.jpg"), **rita)
    assert told(came)["frames"]["video"] == 1
    assert (tmp_path / "soft.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert "soft" in aimass("apps", "run", "soft", "{}", "--set", "softness", **rita).err
    assert told(aimass("apps", "health", "soft", "--json", **ada))["runs"] >= 1
    assert "together" in aimass("apps", "health", "soft", **ada).out
    assert "suspended" in aimass("apps", "suspend", "soft", "--reason", "looked at", **rita).out
    assert "published" in aimass("apps", "resume", "soft", **rita).out
    assert aimass("apps", "delete", "soft", "--yes", **ada).code == 1
    assert aimass("apps", "unpublish", "soft", **ada).code == 0
    assert "deleted" in aimass("apps", "delete", "soft", "--yes", **ada).out
