"""Processed pictures and their sound stay together in a page, however long sound waits before it is played."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.embed import lips
from benchmarks.embed.page import SCRIPT, run

from ..support.browser import Visitor
from .conftest import Visit

pytestmark = pytest.mark.browser

LATER = 200  # ms that sound is made to wait; without it, it waits 30 to 60
APART = 120  # ms, median of the beeps of a moment: half of that, and more, is the room for a busy machine
MOMENT = 1.6  # s, in which there is a beep or two
TRIES = 30  # a machine that has just been too busy takes some time to come down

SLOW_DECODER = f"""
window.AudioDecoder = class extends AudioDecoder {{
  constructor({{ output, error }}) {{ super({{ output: (sound) => setTimeout(output, {LATER}, sound), error }}); }}
}};
"""
SLOW_BUFFER = f"""
  const [audio] = peers[0].getReceivers().filter(({{ track }}) => track.kind === "audio");
  audio.jitterBufferTarget = {LATER};
"""
OTHER_DEVICES = """
  const before = [beeper, camera];
  window.camera = bench.camera();
  window.beeper = await bench.beeper();
  bench.listen(beeper.track, (at) => seen.said.push(at));
  for (const { track } of [beeper, camera]) session.process(track);
  for (const one of before) one.stop();
"""
MUTED = """
  beeper.track.enabled = false;
  await bench.pause(0.5);
  beeper.track.enabled = true;
"""
WITHOUT_SOUND = """
  await beeper.context.suspend(); // a device that gives nothing for a while
  await bench.pause(0.7);
  await beeper.context.resume();
"""


def moment(visitor: Visitor) -> dict[str, Any]:
    """What the next moment's pictures and sounds took."""
    run(visitor, lips.TAKE)
    visitor.page.wait_for_timeout(MOMENT * 1000)
    one = run(visitor, lips.TAKE)
    found: dict[str, Any] = lips.offsets(one["said"], one["heard"], one["shown"], MOMENT / 60)
    return found


def until_apart(visitor: Visitor, least: float, most: float) -> None:
    found = []
    for _ in range(TRIES):
        found.append(moment(visitor))
        if found[-1]["median"] is not None and least < found[-1]["median"] < most:
            return
    raise AssertionError(f"pictures are not {least} to {most} ms behind their sound: {found}")


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
def test_pictures_wait_for_sound_that_waits(visit: Visit, server: str, transport: str) -> None:
    guest = visit()
    if transport == "websocket":
        guest.context.add_init_script(SLOW_DECODER)
    guest.page.goto(f"{server}/healthz")
    guest.page.mouse.click(5, 5)
    guest.page.evaluate(SCRIPT)
    run(guest, lips.BEGIN, transport, "lips")
    if transport == "webrtc":
        run(guest, SLOW_BUFFER)
    guest.until("seen.shown.length > 10 && seen.heard.length > 1", 60)
    until_apart(guest, -APART, APART)
    run(guest, MUTED)
    run(guest, WITHOUT_SOUND)
    until_apart(guest, -APART, APART)
    run(guest, OTHER_DEVICES)
    until_apart(guest, -APART, APART)
    run(guest, "await session.update({ sync: 'lowest' })")
    until_apart(guest, -1000, -LATER / 2)
    run(guest, "await session.close(); beeper.stop(); camera.stop()")
