"""What others see of a page's processed picture while its way to the server is cut or falls silent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from playwright.sync_api import Route

from benchmarks.proxy import Impairment, Wire

from ..support.sdk import run, sdk_page
from .conftest import Visit
from .test_sdk import CAMERA, MIRROR, until_mirrored
from .test_sdk_back import in_order
from .test_sdk_socket import SOCKETS

pytestmark = pytest.mark.browser

GAP = 1500  # ms, longer than between two pictures of the camera itself, which a busy machine keeps waiting, too
WAITS = 4000  # ms of silence, usually

# the processed track goes on to somebody else, and `video.processed` is what is seen there
MEETING = """
  await begin({ transport: given[0], pipeline: [{ stage: "mirror" }], retry: () => 600 }); // until it is opened again
  const Plain = Object.getPrototypeOf(RTCPeerConnection); // not counted among the SDK's
  const [here, there] = window.meeting = [new Plain(), new Plain()];
  here.onicecandidate = ({ candidate }) => there.addIceCandidate(candidate);
  there.onicecandidate = ({ candidate }) => here.addIceCandidate(candidate);
  there.ontrack = ({ track }) => show("processed", track);
  here.addTrack(session.process(camera));
  await here.setLocalDescription();
  await there.setRemoteDescription(here.localDescription);
  await there.setLocalDescription();
  await here.setRemoteDescription(there.localDescription);
"""
WATCHED = """
  window.gaps = { raw: 0, processed: 0 }; // ms, the longest so far
  for (const name of Object.keys(gaps)) {
    const video = document.querySelector(`video.${name}`);
    let before = performance.now();
    video.requestVideoFrameCallback(function next(now) {
      gaps[name] = Math.max(gaps[name], now - before);
      before = now;
      video.requestVideoFrameCallback(next);
    });
  }
"""


@pytest.mark.parametrize(("transport", "cut"), [("webrtc", "peers.at(-1).close()"),
                                                ("websocket", "sockets.at(-1).close(3000)")])
def test_a_meeting_never_freezes(visit: Visit, server: str, transport: str, cut: str) -> None:
    guest = visit(permissions=["camera"])
    guest.context.add_init_script(SOCKETS)
    sdk_page(guest, server)
    run(guest, CAMERA + MEETING, transport)
    until_mirrored(guest, True)
    run(guest, WATCHED)
    for _ in range(2):
        run(guest, cut)
        guest.until("session.status.state === 'reconnecting'")
        until_mirrored(guest, False)  # as it came from the camera
        run(guest, "session.open()")
        until_mirrored(guest, True)
    gaps = run(guest, "return gaps")
    assert gaps["processed"] < gaps["raw"] + GAP
    run(guest, "await session.close(); for (const one of meeting) one.close()")


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as opened:
        yield opened


def test_a_network_that_falls_silent(visit: Visit, server: str, portal: BlockingPortal) -> None:
    """No connection ends, and nothing is heard any more: the page finds that out by itself."""
    guest = sdk_page(visit(permissions=["camera"]), server)
    wires: list[Wire] = []

    def through(route: Route) -> None:
        wires.append(Wire())
        portal.call(wires[-1].open)
        offer: dict[str, str] = route.request.post_data_json or {}
        response = route.fetch(post_data=offer | {"sdp": wires[-1].offer(offer["sdp"])})
        answer = response.json()
        route.fulfill(response=response, json=answer | {"sdp": wires[-1].answer(answer["sdp"])})

    guest.page.route("**/v1/webrtc/offer", through)
    run(guest, CAMERA + MIRROR)
    until_mirrored(guest, True)
    run(guest, "window.id = session.id")
    portal.call(wires[0].impair, Impairment(loss=1))
    until_mirrored(guest, False)
    guest.until("told('status').some(({ error }) => error?.reason === 'media-lost') && session.status.state === 'live'")
    until_mirrored(guest, True)
    assert run(guest, "return [session.id === id, session.epoch, told('missed').length]") == [True, 1, 0]
    run(guest, "window.at = performance.now()")
    portal.call(wires[1].impair, Impairment(loss=1))
    run(guest, """
      dispatchEvent(new Event("online")); // it is another network, so nobody waits as long as before
      window.noticed = new Promise((resolve) => session.on("status", () => resolve(performance.now() - at)));
    """)
    assert run(guest, "return noticed") < WAITS
    guest.until("session.status.state === 'live'")
    until_mirrored(guest, True)
    assert len(wires) == 3
    in_order(guest)
    run(guest, "await session.close()")
    for wire in wires:
        portal.call(wire.close)
