"""What the browser SDK says and does where something is wrong with what it was given."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.api.pages import ROOT

from ..support.browser import Visitor
from ..support.sdk import run, sdk_page
from .conftest import KEY, Visit, serving

pytestmark = pytest.mark.browser

ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"
NOBODY = "http://127.0.0.1:9"  # a port that no server has
AWAY = ["server-gone", "No connection to this server can be made."]


@pytest.fixture
def guest(visit: Visit, server: str) -> Visitor:
    return sdk_page(visit(), server)


def test_a_token_that_cannot_be_fetched_just_now_is_asked_for_again(guest: Visitor) -> None:
    told = run(guest, """
      let asked = 0;
      const token = async () => (asked++ ? null : fetch(given[0]));
      const session = new sdk.Session({ url: location.origin, token });
      const states = [];
      session.on("status", ({ state, error }) => states.push([state, error && [error.reason, error.message]]));
      session.open();
      await session.ready();
      await session.close();
      return states;
    """, NOBODY)
    assert told[1] == ["connecting", ["server-gone", "Failed to fetch."]]
    assert told[2] == ["live", None]
    other = run(guest, "return trouble(begin({ token() { throw new Error('signed out') } }))")
    assert (other["reason"], other["message"]) == ("unexpected", "Signed out.")  # it is the page's to say
    assert "function token" in other["next"]
    guest.complaints.clear()  # Chromium logs what could not be fetched


def test_where_nobody_can_sign_in_it_is_said_who_has_to_do_what(guest: Visitor, guarded: str, server: str) -> None:
    """On a page of another origin, and where the page's own function gave nothing."""
    with serving(origins=[server], api_key=KEY) as url:
        for transport in ("webrtc", "websocket"):
            spent = run(guest, """
              const [url, transport] = given;
              return trouble(begin({ url, token: "spent", transport }));
            """, url, transport)
            assert (spent["reason"], spent["next"]) == ("unauthorized",
                                                        "Ask whoever made this page for another token.")
    for nothing in ("''", "undefined"):
        told = run(guest, f"return trouble(begin({{ token: async () => {nothing} }}))")
        assert (told["reason"], told["message"]) == ("unexpected", "It gave nothing.")
        assert "function token" in told["next"]
    guest.complaints.clear()  # Chromium logs what was refused
    sdk_page(guest, guarded.replace("0.0.0.0", "127.0.0.1"))
    here = run(guest, "return trouble(begin({ token: () => null }))")
    assert "sign in" in here["next"]
    assert "needs an API key" in here["message"]
    guest.complaints.clear()  # Chromium logs what was refused


def test_a_token_that_no_header_can_have_is_refused_at_once(guest: Visitor) -> None:
    for token in ("<html>\n<p>Sign in</p>", "密码"):
        told = run(guest, "return trouble(begin({ token: () => given[0] }))", token)
        assert (told["reason"], told["message"]) == ("unauthorized", "What was given as the token is none.")


def test_a_fetched_token_is_shown_once(visit: Visit, guarded: str) -> None:
    """A server without room has taken it all the same: each try needs another one."""
    guest = sdk_page(visit(), guarded.replace("0.0.0.0", "127.0.0.1"))
    for transport in ("webrtc", "websocket"):
        reasons, asked, state = run(guest, """
          const [token, transport] = given;
          const rest = new sdk.Rest(location.origin, token);
          const first = await sdk.connect({ url: location.origin, token, transport });
          const reasons = [];
          let asked = 0;
          const fetched = async () => ((asked += 1), (await rest.call("POST", "v1/connect-tokens")).token);
          const retry = (attempt, { reason }) => {
            reasons.push(reason);
            if (attempt === 1) void first.close();
            return reason === "busy" ? 0.2 : null;
          };
          await begin({ token: fetched, transport, retry }).catch(() => undefined);
          return [reasons, asked, window.session?.status.state];
        """, KEY, transport)
        assert (set(reasons), asked, state) == ({"busy"}, len(reasons) + 1, "live")
        run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs what was refused


def test_a_listener_that_throws_stops_nothing(guest: Visitor) -> None:
    """What it throws is told where a page looks for that; others hear all."""
    told = run(guest, """
      const thrown = [];
      addEventListener("error", ({ error }) => thrown.push(error.message));
      const session = new sdk.Session({ url: location.origin });
      session.open();
      await session.ready();
      const heard = [];
      for (const name of ["status", "epoch", "event"]) {
        session.on(name, () => { throw new Error(name); });
        session.on(name, () => heard.push(name));
      }
      await session.update([{ stage: "gray" }]);
      const { state } = session.status;
      await session.close();
      return [state, heard, thrown];
    """)
    state, heard, thrown = told
    assert state == "live"
    assert heard == thrown
    assert {"status", "epoch", "event"} == set(heard)
    assert len(guest.complaints) == len(thrown)
    guest.complaints.clear()


def test_what_is_asked_for_while_it_is_closed_is_refused(guest: Visitor) -> None:
    told = run(guest, """
      await begin();
      RTCDataChannel.prototype.send = () => undefined; // the server is never asked
      const asked = [session.update([{ stage: "gray" }]), session.adjust(0, {})].map(trouble);
      await Promise.resolve();
      await session.close();
      return Promise.all(asked);
    """)
    assert [each["error"] for each in told] == ["ClosedError"] * 2


def test_what_makes_no_sense_is_refused_at_once_with_its_field(guest: Visitor) -> None:
    for options, field, words in (
            ("{ transport: 'carrier pigeon' }", "transport", "auto, webrtc, websocket"),
            ("{ fallback: 'blakc' }", "fallback", "raw, black, hold"),
            ("{ url: undefined }", "url", "with http:// or https://"),
            ("{ url: 'nonsense://x' }", "url", "with http:// or https://"),
            ("{ url: 'http://' }", "url", "with http:// or https://"),
            ("{ url: '127.0.0.1:9341' }", "url", "with http:// or https://"),
            ("{ url: 'host.example' }", "url", "with http:// or https://")):
        reason, message, named, following = run(guest, f"""
          const {{ reason, message, field, next }} = await begin({options}).catch((error) => error);
          return [reason, message, field, next];
        """)
        assert (reason, named) == ("invalid", field)
        assert message.startswith(f"{field} is ")
        assert words in following
    assert run(guest, "return trouble(sdk.connect())") == run(guest, "return trouble(begin({ url: undefined }))")
    assert run(guest, """
      const signal = AbortSignal.abort("enough");
      try { new sdk.Session({ url: location.origin, signal }) } catch (reason) { return reason }
    """) == "enough"


def test_calls_that_make_no_sense_are_refused_in_words_and_change_nothing(guest: Visitor) -> None:
    """Nor does anything of them stay behind for the next connection."""
    calls = {
        "send('video')": "track", "send()": "track", "send({ kind: 'video' })": "track", "process('foo')": "track",
        "process()": "track", "process(null)": "track", "process(new MediaStream())": "track", "remove('foo')": "kind",
        "remove()": "kind", "use('pigeon')": "transport", "update()": "change", "update(null)": "change",
        "update('style')": "change", "update(3)": "change", "update(() => [])": "change",
        "update({ pipelin: [] })": "change", "adjust()": "index", "adjust('mirror', {})": "index",
    }
    told = run(guest, """
      await begin({ pipeline: [{ stage: "mirror" }] });
      const told = {};
      for (const call of given[0]) {
        const made = Function("session", `return session.${call}`);
        const { name, reason, field, message, next } = await (async () => made(session))()
          .then(() => ({}), (error) => error);
        told[call] = [name, reason, field, message?.startsWith(`${field} is `), Boolean(next)];
      }
      return told;
    """, list(calls))
    assert told == {call: ["AimassError", "invalid", field, True, True] for call, field in calls.items()}
    assert run(guest, "return (await trouble(session.adjust(0))).reason") == "invalid"
    run(guest, "peers.at(-1).close()")
    guest.until("told('status').some(({ state }) => state === 'reconnecting') && session.status.state === 'live'")
    assert run(guest, """
      const { tracks } = await session.stats();
      return [session.pipeline, tracks, session.transport];
    """) == [[{"stage": "mirror"}], {}, "webrtc"]
    run(guest, "await session.close()")


def test_a_track_of_a_frame_in_the_page_is_one(guest: Visitor) -> None:
    assert run(guest, """
      const frame = document.createElement("iframe");
      document.body.append(frame);
      const canvas = frame.contentDocument.createElement("canvas");
      canvas.getContext("2d");
      const [track] = canvas.captureStream().getVideoTracks();
      await begin();
      session.send(track);
      await session.close();
      return track instanceof MediaStreamTrack;
    """) is False


def test_a_server_that_is_not_there_is_not_waited_for_without_end(guest: Visitor) -> None:
    """Nor one that has no room. Who would wait has a policy, and a session that was there is waited for."""
    gone, busy, tries = run(guest, """
      const now = performance.now.bind(performance);
      let later = 0;
      performance.now = () => now() + later;
      const full = () => Promise.resolve(new Response("{}", { status: 429, headers: { "Retry-After": "600" } }));
      const away = () => { later += 4000; return Promise.reject(new TypeError("away")); };
      const gone = await trouble(begin({ fetch: away }));
      const busy = await trouble(begin({ fetch: full }));
      let tries = 0;
      const patient = new AbortController();
      const retry = (attempt, error) => {
        if (++tries === 9) patient.abort("enough");
        return sdk.patientRetry(0, error);
      };
      await begin({ fetch: away, signal: patient.signal, retry }).catch(() => undefined);
      await begin();
      const real = window.fetch;
      window.cuts = 0;
      window.fetch = (...asked) => (++cuts < 5 ? away() : real(...asked));
      peers.at(-1).close();
      return [gone, busy, tries];
    """)
    assert (gone["reason"], busy["reason"], tries) == ("server-gone", "busy", 9)
    assert "Check that it runs" in gone["next"]
    guest.until("cuts > 5 && session.status.state === 'live'")
    run(guest, "await session.close()")


def test_another_web_server_is_told_from_ours(guest: Visitor) -> None:
    answers: list[dict[str, Any]] = [
        {"status": 404, "body": "File not found"}, {"status": 404, "json": {"detail": "Not Found"}},
        {"body": "<html>", "content_type": "text/html"}, {"json": None}, {"json": {"version": "1"}}]
    guest.page.route("**/other/v1/config", lambda route: route.fulfill(**answers.pop()))
    while answers:
        told = run(guest, "return trouble(begin({ url: '/other' }))")
        assert told["reason"] == "invalid"
        assert told["message"].endswith("/other/, where no AI Mass server answers.")
        assert "with http:// or https://" in told["next"]
    guest.complaints.clear()  # Chromium logs what was not there


def test_what_may_keep_another_origin_out_is_said_there(guest: Visitor, server: str) -> None:
    """A browser tells a page alike of a server that is away and of one that does not list its origin."""
    gone = "return trouble(begin({ url: given[0], retry: () => null }))"
    assert f"its AIMASS_ORIGINS lists {server}" in run(guest, gone, NOBODY)["next"]
    guest.page.route("**/v1/config", lambda route: route.abort())
    here = run(guest, gone, server)
    assert (here["reason"], "AIMASS_ORIGINS" in here["next"]) == ("server-gone", False)
    guest.complaints.clear()  # Chromium logs what could not be fetched


@pytest.mark.parametrize(("policy", "told"), [
    ('() => { throw new Error("no such table"); }', ["unexpected", "no such table"]),
    ("async () => 1", AWAY), ("() => undefined", AWAY), ("() => NaN", AWAY)])
def test_a_policy_that_throws_or_says_no_number_ends_the_tries(guest: Visitor, policy: str, told: list[str]) -> None:
    """Else it would try without a pause."""
    assert run(guest, f"""
      const session = new sdk.Session({{ url: given[0], retry: {policy} }});
      session.open();
      const {{ reason, message, state = session.status.state }} = await trouble(session.ready());
      return [reason, message, state];
    """, NOBODY) == [*told, "failed"]
    guest.complaints.clear()  # Chromium logs what could not be fetched


def test_an_app_that_is_not_there_takes_one_token(visit: Visit, server: str) -> None:
    """Only a session that is lost is asked for again: a token may be good once."""
    guest = sdk_page(visit(), server)
    with serving(origins=[server], api_key=KEY) as url:
        for transport in ("webrtc", "websocket"):
            tried = run(guest, """
              const [url, token, transport] = given;
              const asked = [];
              const retry = (attempt, error) => { asked.push(error.field); return sdk.patientRetry(attempt, error); };
              const { reason, message } = await trouble(begin({ url, token, transport, app: "none", retry }));
              return [reason, message.includes("'none'"), asked];
            """, url, KEY, transport)
            assert tried == ["not-found", True, ["app_id"]]
    guest.complaints.clear()  # Chromium logs what was not found


def test_who_listens_late_is_told_the_newest_status_alone(guest: Visitor) -> None:
    states = run(guest, """
      await begin();
      await session.update([]);
      await session.close();
      return told("status").map(({ state }) => state);
    """)
    assert states == ["live", "closed"]


def test_a_change_while_nothing_runs_yet_goes_into_the_next_offer(guest: Visitor) -> None:
    guest.page.route("**/v1/webrtc/offer", times=1,
                     handler=lambda route: route.fulfill(status=503, headers={"Retry-After": "600"}))
    run(guest, """
      window.session = new sdk.Session({ url: location.origin, pipeline: [{ stage: "mirror" }] });
      session.on("event", (event) => heard.push(["event", event]));
      session.open();
    """)
    guest.until("session.status.error?.reason === 'unavailable'")
    run(guest, "await session.update([{ stage: 'gray' }])")
    assert run(guest, "return session.pipeline.map(({ stage }) => stage)") == ["gray"]
    guest.until("said('session.created').length")
    assert run(guest, "return said('session.updated').length") == 0
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs what was refused


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_change_while_another_one_is_refused_is_tried_by_itself(guest: Visitor, transport: str) -> None:
    """It came too late for the offer that is refused."""
    told = run(guest, """
      const pipeline = [{ stage: "blur", sigma: -1 }];
      const session = new sdk.Session({ url: location.origin, transport: given[0], pipeline });
      session.process("video");
      session.open();
      const asked = new Promise((resolve) => {
        const { WebSocket, fetch } = window;
        window.fetch = (url, ...rest) => (`${url}`.endsWith("offer") && resolve(), fetch(url, ...rest));
        window.WebSocket = class extends WebSocket { send(text) { super.send(text); resolve(); } };
      });
      await asked;
      await session.update([{ stage: "blur", sigma: 5 }]);
      return session.pipeline;
    """, transport)
    assert told == [{"stage": "blur", "sigma": 5}]
    guest.complaints.clear()  # Chromium logs what was refused


@pytest.mark.skipif(not ESBUILD.exists(), reason="esbuild is not here: npm ci in web")
def test_a_bundle_says_which_file_it_misses_for_a_websocket(guest: Visitor, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.js"
    subprocess.run([ESBUILD, ROOT / "sdk" / "aimass-stream.js", "--bundle", "--format=esm", f"--outfile={bundle}",
                    "--log-level=warning"], check=True)
    guest.page.route("**/bundle.js", lambda route: route.fulfill(path=bundle, content_type="text/javascript"))
    begin = """
      const { connect } = await import(given[0]);
      const session = await connect({ url: location.origin, transport: "websocket", retry: () => null });
      const by = session.transport;
      await session.close();
      return by;
    """
    told = run(guest, f"return trouble((async () => {{ {begin} }})())", "/assets/bundle.js")
    assert told["reason"] == "media-blocked"
    assert "/assets/sound-worklet.js" in told["message"]
    assert run(guest, begin, "/sdk/bundle.js") == "websocket"  # beside that file
    guest.complaints.clear()  # Chromium logs the file that is not there
