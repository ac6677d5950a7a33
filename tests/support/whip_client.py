"""A WHIP and WHEP client written from RFC 9725 and the WHEP draft: plain HTTP beside a stock aiortc peer."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import urljoin

import httpx

from .rtc import Camera, Client, Microphone

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


class WhipClient:
    """Publishes (`WhipClient`) or watches (with `receive`) at an endpoint."""

    def __init__(self, endpoint: str, *, camera: Camera | None = None, microphone: Microphone | None = None,
                 receive: tuple[str, ...] = (), token: str | None = None) -> None:
        self.endpoint = endpoint
        self.headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self.peer = Client(urljoin(endpoint, "/"), camera=camera, microphone=microphone, receive=receive, channel=False,
                           headers=self.headers)
        self.http = self.peer.http
        self.resource = ""
        self.etag = ""
        self.created: httpx.Response | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()

    async def post(self, sdp: str | bytes, content_type: str = SDP) -> httpx.Response:
        return await self.http.post(self.endpoint, content=sdp, headers={"Content-Type": content_type})

    async def start(self, *, with_candidates: bool = True) -> None:
        """POST the offer and take the answer (RFC 9725 section 4.2)."""
        sdp = await self.peer.offer()
        if self.peer.camera is not None or self.peer.microphone is not None:
            sdp = sdp.replace("a=sendrecv", "a=sendonly")  # section 4.2: a WHIP client only sends
            for transceiver in self.peer.pc.getTransceivers():
                transceiver.direction = "sendonly"
        if not with_candidates:
            sdp = "".join(line for line in sdp.splitlines(keepends=True)
                          if not line.startswith(("a=candidate", "a=end-of-candidates")))
        response = await self.post(sdp)
        response.raise_for_status()
        assert response.status_code == 201
        assert response.headers["content-type"].partition(";")[0] == SDP
        self.created = response
        self.resource = urljoin(str(response.url), response.headers["location"])
        self.etag = response.headers["etag"]
        await self.peer.accept(response.text)

    async def patch(self, fragment: str, *, etag: str | None = "own", content_type: str = FRAGMENT) -> httpx.Response:
        """Trickle (section 4.3.1); `etag` None leaves If-Match out."""
        headers = {"Content-Type": content_type}
        if etag is not None:
            headers["If-Match"] = self.etag if etag == "own" else etag
        return await self.http.patch(self.resource, content=fragment, headers=headers)

    def fragment(self, *, ufrag: str | None = None) -> str:
        """All candidates of ours, as RFC 8840 section 9 writes them."""
        lines = self.peer.pc.localDescription.sdp.splitlines()
        found: dict[str, Any] = {}
        for line in lines:
            for name in ("a=ice-ufrag:", "a=ice-pwd:", "a=mid:", "m="):
                if line.startswith(name):
                    found.setdefault(name, line)
        if ufrag is not None:
            found["a=ice-ufrag:"] = f"a=ice-ufrag:{ufrag}"
        candidates = [line for line in lines if line.startswith("a=candidate")]
        return "\r\n".join([found["a=ice-ufrag:"], found["a=ice-pwd:"], found["m="], found["a=mid:"], *candidates,
                            "a=end-of-candidates", ""])

    async def stop(self) -> httpx.Response:
        """DELETE the resource (section 4.2)."""
        return await self.http.delete(self.resource)
