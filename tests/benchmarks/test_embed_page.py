"""What `make bench-embed` measures with: a real page whose pictures are numbered and whose beeps are heard, and a way
to the server that can be cut."""

from __future__ import annotations

import http.client

import pytest

from benchmarks.embed import delays, lips
from benchmarks.embed.page import chromium, page, run
from benchmarks.embed.relay import Relay
from tests.support.browser import CHROMIUM
from tests.web.conftest import serving

pytestmark = pytest.mark.slow_loop(60_000, reason="the loop is playwright's, and tests run inside it")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not here: apt-get install chromium")
def test_pictures_are_read_and_beeps_are_heard() -> None:
    with serving() as url, chromium() as browser:
        with page(browser, url) as visitor:
            shown = delays.measure(visitor, "shown", 1.0, 0.2)
            assert 10 < len(shown["delays"]) <= shown["drawn"] + 1
            assert 0 < min(shown["delays"]) < 1000
            sent = delays.measure(visitor, "webrtc, mirror", 1.0, 0.2)
            assert len(sent["delays"]) > 3
            assert sent["transport"] == "webrtc"
            assert run(visitor, """
              const camera = bench.camera();
              const read = [];
              const stop = bench.look(bench.show("picture", camera.track), (one) => read.push(one));
              while (read.length < 3) await bench.pause(0.01);
              stop();
              camera.stop();
              return read.every(({ number, mirrored, at }) => !mirrored && camera.at(number) < at);
            """)
        with page(browser, url) as visitor:
            assert lips.measure(visitor, "webrtc", "lowest", 2.5 / 60, 0.1)["heard_share"] > 0


def test_a_way_that_is_cut_and_a_server_that_changes() -> None:
    with serving() as first, serving() as second:
        port = [int(url.rsplit(":", 1)[1]) for url in (first, second)]
        with Relay(port[0]).running() as relay:
            there = http.client.HTTPConnection(relay.url.removeprefix("http://"), timeout=20)
            assert asked(there) == 200
            relay.cut()
            with pytest.raises(OSError):
                asked(there)
            there.close()
            assert asked(there) == 200
            relay.port = 9  # nobody listens
            relay.cut()
            there.close()
            with pytest.raises(OSError):
                asked(there)
            there.close()
            relay.port = port[1]
            assert asked(there) == 200
            there.close()


def asked(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/healthz")
    reply = connection.getresponse()
    reply.read()
    return reply.status
