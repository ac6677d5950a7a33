"""The browser SDK when the way to the server, or the server, goes away and comes back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from ..support.browser import Visitor
from ..support.options import settings
from ..support.sdk import run, sdk_page, until_dark
from ..support.server import serve
from .conftest import KEY, Visit, serving
from .test_sdk import CAMERA, MIRROR, mirrored, until_mirrored

pytestmark = pytest.mark.browser

ASKED = {"Authorization": f"Bearer {KEY}"}


def in_order(visitor: Visitor) -> int:
    """How many events came; each session's are whole and in order."""
    seqs = run(visitor, "return said('session.created').length && told('event').map((event) => event.seq)")
    starts = [place for place, seq in enumerate(seqs) if seq == 1]
    assert starts[0] == 0
    for begin, end in zip(starts, [*starts[1:], len(seqs)], strict=True):
        assert seqs[begin:end] == list(range(1, end - begin + 1))
    return len(seqs)


def test_a_cut_is_mended_and_another_picture_stands_in(visit: Visit, server: str) -> None:
    """The same session goes on, with its pipeline, all of its events, and the very track that the page has."""
    guest = sdk_page(visit(permissions=["camera", "microphone"]), server)
    run(guest, CAMERA + MIRROR)
    until_mirrored(guest, True)
    run(guest, "await session.update([{ stage: 'mirror' }, { stage: 'level' }])")
    guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
    run(guest, "window.id = session.id; peers.at(-1).close()")
    guest.until("session.status.state === 'reconnecting'")
    until_mirrored(guest, False)  # as it came from the camera
    update = "window.later = session.update([{ stage: 'mirror', direction: 'horizontal' }])"
    run(guest, update + "; return null")
    guest.page.unroute("**/v1/webrtc/offer")
    run(guest, "await later")
    until_mirrored(guest, True)
    told = run(guest, "return [session.id === id, session.epoch, told('epoch').at(-1).resumed, told('missed').length]")
    assert told == [True, 1, True, 0]
    guest.until("told('away').at(-1).away === false")
    assert [each["away"] for each in run(guest, "return told('away')")][-3:] == [False, True, False]
    started = time.perf_counter()
    run(guest, """
      const before = told("status").length;
      peers.at(-1).close();
      const live = () => told("status").slice(before).some(({ state }) => state === "live");
      while (!live()) await new Promise((go) => setTimeout(go, 5));
    """)
    until_mirrored(guest, True)
    assert time.perf_counter() - started < 15
    assert in_order(guest) >= 3
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs the offers that were kept back


def test_a_cut_with_more_events_than_are_kept(visit: Visit, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many are gone is told; meanwhile the last picture stays, for who asked for that."""
    monkeypatch.setattr("aimass_stream.session.EVENT_LOG", 8)
    guest = sdk_page(visit(permissions=["camera", "microphone"]), server)
    run(guest, CAMERA + MIRROR.replace("begin({", "begin({ fallback: 'hold',"))
    until_mirrored(guest, True)
    guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
    run(guest, "peers.at(-1).close()")
    guest.until("told('away').at(-1).away")
    held = guest.look("processed", (640, 360))
    assert mirrored(held) is True
    path = f"{server}/v1/sessions/{run(guest, 'return session.id')}"
    for _ in range(20):
        httpx.patch(path, json={"pipeline": [{"stage": "mirror"}]}).raise_for_status()
    assert (guest.look("processed", (640, 360)) == held).all()
    guest.page.unroute("**/v1/webrtc/offer")
    guest.until("!told('away').at(-1).away && told('missed').length")
    until_mirrored(guest, True)
    assert (guest.look("processed", (640, 360)) != held).any()
    seqs = run(guest, "return told('event').map((event) => event.seq)")
    steps = [after - before for before, after in itertools.pairwise(seqs)]
    (missed,) = run(guest, "return told('missed')")
    assert missed >= 12
    assert sorted(steps) == [1] * (len(steps) - 1) + [missed + 1]
    assert run(guest, "return (await session.stats()).missed") == missed
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs the offers that were kept back


def test_a_camera_that_is_switched_off_stays_so_where_it_stands_in(visit: Visit, server: str) -> None:
    guest = sdk_page(visit(permissions=["camera", "microphone"]), server)
    run(guest, CAMERA + MIRROR)
    until_mirrored(guest, True)
    guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
    run(guest, "peers.at(-1).close()")
    until_mirrored(guest, False)
    run(guest, "camera.enabled = false")
    until_dark(guest)
    run(guest, "camera.enabled = true")
    until_mirrored(guest, False)
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs the offers that were kept back


def test_black_in_place_of_what_nobody_is_to_see(visit: Visit, server: str) -> None:
    guest = sdk_page(visit(permissions=["camera", "microphone"]), server)
    run(guest, CAMERA + """
      const retry = (attempt) => (attempt < 3 ? 0.05 : null);
      await begin({ pipeline: [{ stage: "mirror" }], fallback: "black", retry });
      show("processed", session.process(camera));
    """)
    until_mirrored(guest, True)
    guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
    run(guest, "peers.at(-1).close()")
    guest.until("session.status.state === 'failed'")  # by the policy it was given
    until_dark(guest)
    assert run(guest, "return session.status.error.reason") == "server-gone"
    assert run(guest, "return trouble(session.update([]))")["reason"] == "server-gone"
    run(guest, "await session.close()")
    guest.complaints.clear()


def test_a_server_that_is_started_anew(visit: Visit) -> None:
    """The same pipeline in a new epoch, and what may be missing is told."""
    guest = visit(permissions=["camera", "microphone"])
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings())) as running):
        url = running.url
        sdk_page(guest, url)
        run(guest, CAMERA + """
          window.asked = 0;
          const token = async () => `token ${++asked}`;
          await begin({ token, retry: (attempt) => (attempt === 0 ? 0 : 0.1) });
          show("processed", session.process(camera));
          await session.update([{ stage: "mirror" }]);
        """)
        until_mirrored(guest, True)
        first = run(guest, "return session.id")
    until_mirrored(guest, False)  # the camera itself, and not a picture that stands still
    with serving(port=int(url.rsplit(":", 1)[1])):
        until_mirrored(guest, True)
        epoch = run(guest, "return told('epoch').at(-1)")
        assert (epoch["epoch"], epoch["resumed"], epoch["previous"]["sessionId"]) == (2, False, first)
        assert epoch["previous"]["lastSeq"] > 0
        assert run(guest, "return [session.pipeline[0].stage, session.id]") == ["mirror", epoch["sessionId"]]
        in_order(guest)
        run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs every request that found nobody


def test_a_browser_without_streams_of_frames(visit: Visit, server: str) -> None:
    guest = visit(permissions=["camera", "microphone"])
    guest.context.add_init_script("delete window.MediaStreamTrackGenerator; delete window.MediaStreamTrackProcessor")
    sdk_page(guest, server)
    run(guest, CAMERA + MIRROR + """
      const [voice] = (await sdk.capture({ audio: true })).getAudioTracks();
      window.sound = session.process(voice);
    """)
    until_mirrored(guest, True)
    guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
    run(guest, "peers.at(-1).close()")
    until_mirrored(guest, False)
    guest.page.unroute("**/v1/webrtc/offer")
    until_mirrored(guest, True)
    run(guest, "await session.close()")
    assert run(guest, "return sound.readyState") == "ended"
    guest.complaints.clear()


def test_a_killed_server_is_found_again_by_websocket(visit: Visit) -> None:
    """While nobody answers, one small request is all that is tried each time."""
    guest = visit()
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings())) as running):
        url = running.url
        sdk_page(guest, url)
        run(guest, """
          window.tries = 0;
          const Real = WebSocket;
          window.WebSocket = class extends Real { constructor(...given) { super(...given); tries += 1; } };
          await begin({ transport: "websocket" });
          session.process("video");
        """)
    guest.until("told('status').filter(({ error }) => error?.reason === 'server-gone').length > 12")
    assert run(guest, "return tries") <= 3
    pauses = run(guest, "return told('status').map(({ retryIn }) => retryIn).filter((pause) => pause > 0)")
    assert max(pauses) <= 0.6
    assert len(set(pauses)) > len(pauses) / 2
    with serving(port=int(url.rsplit(":", 1)[1])):
        guest.until("session.status.state === 'live' && session.epoch === 2")
        run(guest, "await session.close()")
    guest.complaints.clear()


def test_links_that_never_last_are_made_with_pauses(visit: Visit, server: str) -> None:
    """A server that cuts each at once is not asked without a pause; the first one is mended at once."""
    guest = sdk_page(visit(), server)
    run(guest, """
      await begin();
      session.on("status", ({ state }) => state === "live" && setTimeout(() => peers.at(-1).close()));
    """)
    pauses = "told('status').filter(({ state }) => state === 'reconnecting').map(({ retryIn }) => retryIn)"
    guest.until(f"{pauses}.length === 3")
    first, *more = run(guest, f"return {pauses}")
    assert first == 0
    assert min(more) >= 0.3
    run(guest, "await session.close()")


KEPT = ("WebSocket", "RTCPeerConnection", "RTCDataChannel", "AudioContext", "AudioWorkletNode", "MediaStream",
        "AudioEncoder", "AudioDecoder")


def kept(visitor: Visitor) -> dict[str, int]:
    """What of a page is still there after garbage has been collected."""
    cdp = visitor.context.new_cdp_session(visitor.page)
    cdp.send("HeapProfiler.enable")
    for _ in range(4):
        cdp.send("HeapProfiler.collectGarbage")
        visitor.page.wait_for_timeout(50)  # a stream that is closed goes in more than one step
    found = {"listeners": int(cdp.send("Memory.getDOMCounters")["jsEventListeners"])}
    for name in KEPT:
        prototype = cdp.send("Runtime.evaluate", {"expression": f"{name}.prototype"})["result"]["objectId"]
        objects = cdp.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
        count = cdp.send("Runtime.callFunctionOn", {"objectId": objects, "returnByValue": True,
                                                    "functionDeclaration": "function () { return this.length }"})
        found[name] = int(count["result"]["value"])
        cdp.send("Runtime.releaseObject", {"objectId": objects})
    cdp.detach()
    return found


@pytest.mark.parametrize(("transport", "touched"), [("webrtc", True), ("websocket", True), ("websocket", False)])
def test_nothing_is_kept_of_a_session_that_is_closed(visit: Visit, server: str, transport: str, touched: bool) -> None:
    guest = sdk_page(visit(), server)
    if touched:
        guest.page.mouse.click(5, 5)  # so that it may play sound
    before = kept(guest)
    run(guest, """
      for (let n = 0; n < 8; n++) {
        const session = await sdk.connect({ url: location.origin, transport: given[0] });
        session.process("video");
        session.process("audio");
        await session.close();
      }
      peers.length = 0;
    """, transport)
    for _ in range(40):
        if kept(guest) == before:
            break
    assert kept(guest) == before
    guest.complaints.clear()  # Chromium warns of sound on a page that nobody has touched


@pytest.fixture(scope="module")
def strict(server: str) -> Iterator[str]:
    """URL of a server that admits the other one's pages with a token, and waits long for who was cut off."""
    with serving(origins=[server], api_key=KEY, resume_seconds=600) as url:
        yield url


def token_of(url: str) -> str:
    return str(httpx.post(f"{url}/v1/connect-tokens", headers=ASKED).json()["token"])


def until_left(url: str) -> None:
    for _ in range(200):
        if not httpx.get(f"{url}/v1/sessions", headers=ASKED).json()["sessions"]:
            return
        time.sleep(0.05)
    raise AssertionError("its session stayed")


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_page_that_is_left_ends_its_session(visit: Visit, server: str, strict: str, transport: str) -> None:
    """Connected and on the way there, by the session's own token: the one that opened it was good once."""
    guest = sdk_page(visit(), server)
    for delay in (None, 0, 20, 80):
        run(guest, """
          const [url, token, transport, delay] = given;
          const opening = begin({ url, token, transport });
          opening.catch(() => undefined); // the page goes
          await (delay === null ? opening : new Promise((go) => setTimeout(go, delay)));
        """, strict, token_of(strict), transport, delay)
        sdk_page(guest, server)
        until_left(strict)
    guest.complaints.clear()  # Chromium logs what the page has left


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_session_that_somebody_else_ends_is_over(visit: Visit, server: str, strict: str, transport: str) -> None:
    guest = sdk_page(visit(), server)
    run(guest, """
      const [url, token, transport] = given;
      await begin({ url, token, transport });
      window.out = session.process("video");
    """, strict, KEY, transport)
    httpx.delete(f"{strict}/v1/sessions/{run(guest, 'return session.id')}", headers=ASKED).raise_for_status()
    guest.until("session.status.state !== 'live'")
    assert run(guest, """
      const { state, error } = session.status;
      return [state, error?.name, error?.message, session.epoch, out.readyState, said("session.ended").length];
    """) == ["closed", "ClosedError", "Ended by request.", 1, "ended", 1]
    assert run(guest, "session.open(); return (await trouble(session.update([]))).error") == "ClosedError"
    until_left(strict)
    guest.complaints.clear()  # Chromium logs what was not there any more


def test_a_token_that_is_no_longer_good(visit: Visit, server: str, strict: str) -> None:
    """Where the session is lost, too, a function is asked for another one, and what stays the same is refused."""
    guest = sdk_page(visit(), server)
    for once in (False, True):
        run(guest, """
          const [url, key, once] = given;
          const rest = new sdk.Rest(url, key);
          const token = async () => (await rest.call("POST", "v1/connect-tokens")).token;
          await begin({ url, token: once ? await token() : token });
        """, strict, KEY, once)
        guest.page.route("**/v1/webrtc/offer", lambda route: route.abort())
        run(guest, "peers.at(-1).close()")
        guest.until("session.status.error?.reason === 'server-gone'")
        httpx.delete(f"{strict}/v1/sessions/{run(guest, 'return session.id')}", headers=ASKED).raise_for_status()
        guest.page.unroute("**/v1/webrtc/offer")
        if not once:
            guest.until("session.epoch === 2 && session.status.state === 'live'")
            run(guest, "await session.close()")
    guest.until("session.status.state === 'failed'")
    error = run(guest, "const { name, reason, next } = session.status.error; return { name, reason, next }")
    assert (error["name"], error["reason"]) == ("TokenError", "token-expired")
    assert "function" in error["next"]
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs what was refused


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_token_that_was_good_once_is_enough_to_come_back(visit: Visit, server: str, strict: str,
                                                           transport: str) -> None:
    """After the server was out of reach, and when what it said of servers for ICE has become old."""
    guest = sdk_page(visit(), server)
    run(guest, """
      const [url, token, transport] = given;
      await begin({ url, token, transport });
      window.id = session.id;
    """, strict, token_of(strict), transport)
    guest.context.set_offline(True)
    run(guest, "peers.at(-1)?.close()")
    guest.until("session.status.error?.reason === 'server-gone'")
    guest.context.set_offline(False)
    for times, cut in ((2, ""), (3, """
      const now = performance.now.bind(performance);
      performance.now = () => now() + 700_000; // the computer slept
      peers.at(-1)?.close();
    """)):
        run(guest, cut)
        guest.until(f"session.status.state === (told('epoch').length < {times} ? 'failed' : 'live')")
        assert run(guest, "return [session.status.error?.message, session.id === id, session.epoch]") == [None, True, 1]
    in_order(guest)
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs what was refused, and that there was no network


def test_a_tab_that_is_frozen_and_a_network_that_is_gone(visit: Visit, server: str) -> None:
    guest = sdk_page(visit(), server)
    run(guest, "await begin({ transport: 'websocket' }); session.process('video'); window.id = session.id")
    cdp = guest.context.new_cdp_session(guest.page)
    cdp.send("Page.setWebLifecycleState", {"state": "frozen"})
    cdp.send("Page.setWebLifecycleState", {"state": "active"})
    run(guest, "await session.update([{ stage: 'gray' }])")  # it still carries
    guest.context.set_offline(True)
    guest.until("session.status.state === 'reconnecting'")
    guest.context.set_offline(False)
    guest.until("session.status.state === 'live'")
    assert run(guest, "return [session.id === id, session.epoch, session.pipeline[0].stage]") == [True, 1, "gray"]
    in_order(guest)
    run(guest, "await session.close()")
    guest.complaints.clear()  # Chromium logs every request that found no network


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_a_page_out_of_the_back_forward_cache(visit: Visit, server: str, strict: str, transport: str) -> None:
    """Which this Chromium is started without: the page is told what such a page is told."""
    guest = sdk_page(visit(), server)
    run(guest, """
      await begin({ url: given[0], token: async () => given.pop(), transport: given[1] });
      window.id = session.id;
    """, strict, transport, token_of(strict), token_of(strict))
    run(guest, "dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    until_left(strict)
    assert run(guest, "return session.status.state") == "closed"
    run(guest, "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    guest.until("session.status.state === 'live'")
    epoch = run(guest, "return told('epoch').at(-1)")
    assert (epoch["epoch"], epoch["resumed"]) == (2, False)
    assert epoch["previous"]["sessionId"] == run(guest, "return id") != epoch["sessionId"]
    run(guest, "await session.close()")
    until_left(strict)
    guest.complaints.clear()  # Chromium logs that what had ended already was not there
