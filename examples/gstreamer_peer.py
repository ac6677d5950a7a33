"""WHIP in and WHEP out with GStreamer's webrtcbin: docs/tutorials/broadcast.md walks through it.

    python3 examples/gstreamer_peer.py publish http://127.0.0.1:8000/v1/whip
    python3 examples/gstreamer_peer.py play http://127.0.0.1:8000/v1/whep/SESSION

It needs nothing of this project: any Python that can import gi, and GStreamer from 1.20 on with the elements that
`apt install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-nice`
brings. Newer GStreamer has elements that do all of this: whipclientsink and whepsrc.
"""

from __future__ import annotations

import argparse
import re
import signal
import ssl
import sys
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin
from urllib.request import Request, urlopen

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402  versions are chosen before

VP8 = "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96"
OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=97"
PATTERN = "videotestsrc is-live=true pattern=smpte ! video/x-raw,width=640,height=360,framerate=30/1"
TONE = "audiotestsrc is-live=true freq=440 volume=0.2"
WAIT = 15.0  # s for an answer to a request


class Refused(Exception):
    """What the server, or GStreamer, has against it."""


class Resource:
    """The HTTP side: POST an offer, PATCH candidates, DELETE (RFC 9725 section 4)."""

    def __init__(self, endpoint: str, token: str, verify: bool) -> None:
        self.endpoint, self.location, self.etag = endpoint, "", ""
        self._token = token
        self._context = ssl.create_default_context()
        if not verify:
            self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    def ask(self, method: str, url: str, body: str = "", kind: str = "", **headers: str) -> tuple[Any, str]:
        request = Request(url, body.encode() or None, method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if kind:
            request.add_header("Content-Type", kind)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=WAIT, context=self._context) as answer:
                return answer.headers, answer.read().decode()
        except HTTPError as error:
            raise Refused(f"{method} {url}: {error.code} {error.read().decode()}") from None
        except URLError as error:
            raise Refused(f"{method} {url}: {error.reason}") from None

    def servers(self) -> list[str]:
        """STUN and TURN servers as webrtcbin takes them; it wants them before it gathers, so we ask before we POST."""
        headers, _ = self.ask("OPTIONS", self.endpoint)
        return [url for link in headers.get_all("Link") or [] if (url := _server(link))]

    def create(self, offer: str) -> str:
        headers, answer = self.ask("POST", self.endpoint, offer, "application/sdp")
        self.location, self.etag = urljoin(self.endpoint, headers["Location"]), headers["ETag"]
        return answer

    def trickle(self, fragment: str) -> None:
        self.ask("PATCH", self.location, fragment, "application/trickle-ice-sdpfrag", If_Match=self.etag)

    def delete(self) -> None:
        if self.location:
            self.ask("DELETE", self.location)


def _server(link: str) -> str:
    """`<turn:host:port?transport=udp>; rel="ice-server"; ...` as `turn://user:password@host:port?transport=udp`."""
    found = re.match(r"<(stuns?|turns?):([^>]+)>", link)
    given = dict(re.findall(r';\s*([\w-]+)="([^"]*)"', link))
    if found is None or given.get("rel") != "ice-server":
        return ""
    who = f"{quote(given['username'], '')}:{quote(given['credential'], '')}@" if "username" in given else ""
    return f"{found[1]}://{who}{found[2]}"


class Peer:
    """A webrtcbin named "peer" in a pipeline, connected by WHIP or WHEP."""

    def __init__(self, resource: Resource, description: str, options: argparse.Namespace) -> None:
        self.resource, self.options = resource, options
        self.loop = GLib.MainLoop()
        self.trouble = ""
        self.pipeline = Gst.parse_launch(f"pipeline. ( webrtcbin name=peer bundle-policy=max-bundle {description} )")
        self.bin = self.pipeline.get_by_name("peer")
        self._mine: list[str] = []  # candidates that were not told yet
        self._answered = self._offered = False
        if options.address:  # libnice passes loopback over unless it is told of it
            self.ice = self.bin.get_property("ice-agent")  # kept: gi takes the only reference there is
            self.ice.emit("add-local-ip-address", options.address)
        for url in resource.servers():
            if url.startswith("stun"):
                self.bin.set_property("stun-server", url)
            else:
                self.bin.emit("add-turn-server", url)
        if options.relay:
            self.bin.set_property("ice-transport-policy", GstWebRTC.WebRTCICETransportPolicy.RELAY)
        self.bin.connect("on-negotiation-needed", self._negotiate)
        self.bin.connect("on-ice-candidate", lambda _, line, candidate: GLib.idle_add(self._candidate, candidate))
        self.bin.connect("notify::ice-gathering-state", lambda *_: GLib.idle_add(self._gathered))
        self.bin.connect("notify::connection-state", lambda *_: GLib.idle_add(self._state))
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self.end(message.parse_error()[0].message))
        bus.connect("message::eos", lambda *_: self.end(""))

    def run(self) -> None:
        """Until it is over: by its time, Ctrl-C, the end of what is played, or trouble."""
        for number in (signal.SIGINT, signal.SIGTERM):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self.end, "")
        if self.options.seconds:
            GLib.timeout_add(round(self.options.seconds * 1000), self.end, "")
        self.pipeline.set_state(Gst.State.PLAYING)
        try:
            self.loop.run()
        finally:
            self.pipeline.set_state(Gst.State.NULL)
            self.resource.delete()
        if self.trouble:
            raise Refused(self.trouble)

    def end(self, trouble: str) -> bool:
        self.trouble = self.trouble or trouble
        self.loop.quit()
        return False

    # the offer, from webrtcbin's threads to the main loop's --------------------------------------------

    def _negotiate(self, _: Any) -> None:
        self.bin.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offer))

    def _offer(self, promise: Any) -> None:
        reply = promise.get_reply()  # kept: the offer lies within it
        offer = reply.get_value("offer")
        text = offer.sdp.as_text()
        self.bin.emit("set-local-description", offer, None)  # gathers from here on
        if self.options.trickle:
            GLib.idle_add(self._post, text)

    def _gathered(self) -> None:
        done = self.bin.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if done and not self.options.trickle and not self._offered:
            self._post(self.bin.get_property("local-description").sdp.as_text())

    def _post(self, sdp: str) -> None:
        self._offered = True
        try:
            text = self.resource.create(sdp)
        except Refused as error:
            self.end(str(error))
            return
        _, message = GstSdp.SDPMessage.new_from_text(text)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.bin.emit("set-remote-description", answer, None)
        self._answered = True
        _say(f"resource {self.resource.location}")
        self._tell()

    def _candidate(self, candidate: str) -> None:
        if self.options.trickle and candidate:
            self._mine.append(candidate)
            if self._answered:
                self._tell()

    def _tell(self) -> None:
        """PATCH what was gathered meanwhile (RFC 8840 section 9)."""
        if not self._mine:
            return
        sdp = self.bin.get_property("local-description").sdp.as_text()
        head = [re.search(rf"^{name}.*$", sdp, re.MULTILINE) for name in ("a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:")]
        lines = [line[0].strip() for line in head if line is not None] + [f"a={each}" for each in self._mine]
        self._mine = []
        try:
            self.resource.trickle("\r\n".join([*lines, ""]))
            _say("candidates told")
        except Refused as error:
            self.end(str(error))

    def _state(self) -> None:
        state = self.bin.get_property("connection-state")
        _say(state.value_nick)
        if state in (GstWebRTC.WebRTCPeerConnectionState.FAILED, GstWebRTC.WebRTCPeerConnectionState.CLOSED):
            self.end(f"the connection is {state.value_nick}")


def publisher(resource: Resource, options: argparse.Namespace) -> Peer:
    """Any GStreamer source, as VP8 and Opus."""
    parts = []
    if options.video:
        parts.append(f"{options.video} ! videoconvert ! queue ! vp8enc deadline=1 cpu-used=8 target-bitrate=1500000 "
                     f"keyframe-max-dist=120 ! rtpvp8pay pt=96 picture-id-mode=15-bit ! {VP8} ! peer.")
    if options.audio:
        parts.append(f"{options.audio} ! audioconvert ! audioresample ! queue ! opusenc ! rtpopuspay pt=97 ! {OPUS} "
                     "! peer.")
    peer = Peer(resource, " ".join(parts), options)
    for number in range(len(parts)):
        peer.bin.emit("get-transceiver", number).set_property(
            "direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
    return peer


def player(resource: Resource, options: argparse.Namespace) -> Peer:
    """Plays in a window and on the loudspeaker, or saves pictures, each over the one before."""
    peer = Peer(resource, "", options)
    for caps in (VP8, OPUS):
        peer.bin.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(caps))
    seen = 0

    def saved(sink: Any, _: Any = None) -> int:
        nonlocal seen
        data = sink.emit("pull-sample").get_buffer()
        with open(options.save, "wb") as file:
            file.write(data.extract_dup(0, data.get_size()))
        seen += 1
        if seen == options.pictures:
            GLib.idle_add(peer.end, "")
        return 0

    def arrived(_: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        if pad.get_current_caps().get_structure(0).get_string("media") == "audio":
            sink = "fakesink" if options.save else "autoaudiosink"
            chain = f"rtpopusdepay ! opusdec ! audioconvert ! audioresample ! {sink}"
        else:
            file = "pngenc ! appsink name=saved emit-signals=true sync=false max-buffers=1 drop=true"
            chain = f"rtpvp8depay ! vp8dec ! videoconvert ! {file if options.save else 'autovideosink'}"
        part = Gst.parse_bin_from_description(f"queue ! {chain}", True)
        peer.pipeline.add(part)
        found = part.get_by_name("saved")
        if found is not None:
            found.connect("new-sample", saved)
        part.sync_state_with_parent()
        pad.link(part.get_static_pad("sink"))

    peer.bin.connect("pad-added", arrived)
    return peer


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description="WHIP in and WHEP out with GStreamer's webrtcbin")
    parser.add_argument("what", choices=["publish", "play"])
    parser.add_argument("url", help="the WHIP endpoint, or /v1/whep/ and a session")
    parser.add_argument("--token", default="", help="bearer token: the server's key, or one of one's own")
    parser.add_argument("--video", default=PATTERN, help="a GStreamer source of pictures; empty: none")
    parser.add_argument("--audio", default=TONE, help="a GStreamer source of sound; empty: none")
    parser.add_argument("--save", default="", metavar="PNG", help="save pictures there in place of showing them")
    parser.add_argument("--pictures", type=int, default=0, help="end after so many saved ones")
    parser.add_argument("--seconds", type=float, default=0, help="end after so long")
    parser.add_argument("--trickle", action="store_true", help="post the offer at once, candidates after it")
    parser.add_argument("--relay", action="store_true", help="by the TURN servers that the server names, or not at all")
    parser.add_argument("--address", default="", help="the one local address to use, where not all")
    parser.add_argument("--no-verify", action="store_true", help="any certificate will do")
    options = parser.parse_args()
    Gst.init(None)
    resource = Resource(options.url, options.token, not options.no_verify)
    try:
        (publisher if options.what == "publish" else player)(resource, options).run()
    except (Refused, GLib.Error) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
