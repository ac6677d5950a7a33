"""Offers as strangers send them: checked, and made fit for aiortc, before anything is built for them.

Candidates are taken out of the offer and checked one by one: only UDP to a literal address is used, so no name
is ever looked up (a browser that was never given a camera names itself "<uuid>.local"). The end of candidates
is taken out too: the way the other side's checks come in may be the only one that works (RFC 8445 section
7.3.1.3), and a peer that never connects is ended by its time limit.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from aiortc.sdp import SessionDescription

from ...errors import InvalidMedia, TooLarge
from ...settings import Settings

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
MAX_SECTIONS = 8
MAX_CANDIDATES = 64
MAX_CODECS = 128  # of all m-sections, those that nobody here speaks left out; browsers offer some 20 a section
MAX_SSRCS = 64  # lines of one m-section
MAX_LINES = 4000
OURS = frozenset({"opus", "vp8", "h264", "rtx"})
# attributes that mean something to aiortc; the others never reach it
READ = frozenset({"mid", "msid", "setup", "fingerprint", "ice-ufrag", "ice-pwd", "ice-options", "rtcp-mux", "ssrc",
                  "ssrc-group", "extmap", "sctp-port", "sctpmap", "max-message-size", "group", "msid-semantic",
                  "ice-lite", *DIRECTIONS})
OF_A_CODEC = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
FINGERPRINTS = ("sha-256", "sha-384", "sha-512")

_ICE_CHARS = re.compile(r"[!-~]{4,256}")  # more than RFC 8839 section 5.4 allows: some clients use "-" and "_"
_MALFORMED = (ValueError, AssertionError, KeyError, IndexError, AttributeError, TypeError, StopIteration)


@dataclass
class Section:
    """One m-section of an offer."""

    kind: str
    port: str
    profile: str
    direction: str = ""
    attributes: dict[str, str] = field(default_factory=dict)  # last of each name
    codecs: dict[str, str] = field(default_factory=dict)  # payload type -> name in lower case
    candidates: list[str] = field(default_factory=list)  # those we can use
    lines: list[str] = field(default_factory=list)
    ssrc_lines: int = 0

    @property
    def mid(self) -> str:
        return self.attributes.get("mid", "")

    def kept(self) -> list[str]:
        """The lines that aiortc gets: codecs of ours, and attributes that it reads."""
        return [line for line in self.lines if not line.startswith("a=") or self._is_read(*line[2:].split(":", 1))]

    def _is_read(self, name: str, value: str = "") -> bool:
        if name in OF_A_CODEC:
            payload_type = value.partition(" ")[0]
            return payload_type == "*" or self.codecs.get(payload_type) in OURS
        return name in READ


@dataclass(frozen=True)
class Offer:
    sdp: str  # without candidates
    sections: tuple[Section, ...]
    candidates: tuple[str, ...]  # without "candidate:"
    ufrag: str
    password: str


def read_offer(text: str, settings: Settings) -> Offer:
    """Check an offer. Raises `TooLarge` or `InvalidMedia`, both with field "sdp"."""
    return _read(text, settings, media=True)


def read_answer(text: str, settings: Settings) -> Offer:
    """Check an answer to an offer of ours, likewise; it may be about data channels alone."""
    return _read(text, settings, media=False)


def _read(text: str, settings: Settings, *, media: bool) -> Offer:
    if len(text) > settings.max_sdp_bytes or len(text.encode(errors="replace")) > settings.max_sdp_bytes:
        raise TooLarge(f"the SDP has more than {settings.max_sdp_bytes} bytes", field="sdp")
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    if lines[0] != "v=0" or len(lines) > MAX_LINES:
        raise _invalid("this is not an SDP session description (RFC 8866)")
    session, head, sections = _scan(lines)
    if media and not any(each.kind in ("audio", "video") and each.direction != "inactive" for each in sections):
        raise _invalid("the offer has no audio or video to send or receive")
    if not sections:
        raise _invalid("the answer has no m-sections")
    _check_sections(session, sections, settings)
    sdp = "\r\n".join((*head, *(line for section in sections for line in section.kept()), ""))
    try:
        SessionDescription.parse(sdp)
    except _MALFORMED as error:
        raise _invalid(f"the SDP can't be read: {error or type(error).__name__}") from None
    candidates = [candidate for section in sections for candidate in section.candidates]
    first = sections[0].attributes
    return Offer(sdp, tuple(sections), tuple(dict.fromkeys(candidates)),
                 first.get("ice-ufrag", session.get("ice-ufrag", "")), first.get("ice-pwd", session.get("ice-pwd", "")))


def _scan(lines: list[str]) -> tuple[dict[str, str], list[str], list[Section]]:
    """Session attributes, session lines that stay, and m-sections."""
    session: dict[str, str] = {}
    head: list[str] = []
    sections: list[Section] = []
    candidates = 0
    for line in lines:
        name, _, value = line[2:].partition(":") if line.startswith("a=") else ("", "", "")
        if line.startswith("m="):
            sections.append(_section(line, len(sections) + 1, session.get("direction", "")))
        elif name == "candidate":
            candidates += 1
            if candidates > MAX_CANDIDATES:
                raise _invalid(f"more than {MAX_CANDIDATES} candidates")
            if sections and usable(value):
                sections[-1].candidates.append(value)
        elif sections:
            sections[-1].lines.append(line)
            _attribute(sections[-1], name, value, len(sections))
        elif name in DIRECTIONS:
            session["direction"] = name
        else:
            session[name] = value
            if not name or name in READ:
                head.append(line)
    return session, head, sections


def _section(line: str, number: int, direction: str) -> Section:
    parts = line[2:].split()
    if len(parts) < 4:
        raise _invalid(f"m-section {number} has no formats")
    if number > MAX_SECTIONS:
        raise _invalid(f"more than {MAX_SECTIONS} m-sections")
    return Section(parts[0], parts[1], parts[2], direction, lines=[line])


def _attribute(section: Section, name: str, value: str, number: int) -> None:
    if name in DIRECTIONS:
        section.direction = name
    elif name == "rtpmap":
        payload_type, _, codec = value.partition(" ")
        section.codecs[payload_type] = codec.partition("/")[0].lower()
    elif name == "ssrc":
        section.ssrc_lines += 1
        if section.ssrc_lines > MAX_SSRCS:
            raise _invalid(f"m-section {number} has more than {MAX_SSRCS} ssrc lines")
    if name:
        section.attributes[name] = value


def _check_sections(session: dict[str, str], sections: list[Section], settings: Settings) -> None:
    if sum(each.kind == "application" for each in sections) > 1:
        raise _invalid("more than one m-section for data channels")
    if sum(name in OURS for each in sections for name in each.codecs.values()) > MAX_CODECS:
        raise _invalid(f"more than {MAX_CODECS} codecs")
    for number, section in enumerate(sections, 1):
        if section.kind not in ("audio", "video", "application"):
            raise _invalid(f"m-section {number} is {section.kind[:32]!r}; audio, video and application are supported")
        if section.port == "0" and "bundle-only" not in section.attributes:
            raise _invalid(f"m-section {number} is switched off (port 0)")
        if not section.mid:
            raise _invalid(f"m-section {number} has no a=mid")
        _check_transport({**session, **section.attributes}, section, number)
        if section.kind != "application":
            _check_media(section, number, settings)
    bundled = next((value.split()[1:] for name, value in session.items()
                    if name == "group" and value.startswith("BUNDLE")), [])
    if len(sections) > 1 and any(each.mid not in bundled for each in sections):
        raise _invalid("all m-sections have to share one transport: a=group:BUNDLE with every mid (RFC 9143)")
    if len({each.mid for each in sections}) < len(sections):
        raise _invalid("two m-sections have the same mid")


def _check_transport(attributes: dict[str, str], section: Section, number: int) -> None:
    for name in ("ice-ufrag", "ice-pwd"):
        if not _ICE_CHARS.fullmatch(attributes.get(name, "")):
            raise _invalid(f"m-section {number} has no a={name}")
    algorithm = attributes.get("fingerprint", "").partition(" ")[0].lower()
    if algorithm not in FINGERPRINTS:
        raise _invalid(f"m-section {number} needs an a=fingerprint of {', '.join(FINGERPRINTS)}")
    if attributes.get("setup") not in ("actpass", "active", "passive"):
        raise _invalid(f"m-section {number} has no a=setup of actpass, active or passive")
    profile = section.profile.split("/")
    if section.kind == "application" and profile[-1] != "SCTP":
        raise _invalid(f"m-section {number} is not for data channels (UDP/DTLS/SCTP)")


def _check_media(section: Section, number: int, settings: Settings) -> None:
    if "rtcp-mux" not in section.attributes:
        raise _invalid(f"m-section {number} needs a=rtcp-mux")
    supported = ["opus"] if section.kind == "audio" else settings.video_codecs
    if not {name.lower() for name in supported} & set(section.codecs.values()):
        raise _invalid(f"m-section {number} ({section.kind}) offers no codec of ours: {', '.join(supported)}")


def usable(candidate: str) -> bool:
    """True for UDP to a literal unicast address; anything else, names above all, is left out."""
    parts = candidate.split()
    if len(parts) < 8 or parts[1] != "1" or parts[2].lower() != "udp" or parts[6] != "typ" or len(parts[0]) > 32:
        return False
    try:
        address = ipaddress.ip_address(parts[4])
        port, priority = int(parts[5]), int(parts[3])
        if "rport" in parts:
            int(parts[parts.index("rport") + 1])
    except (ValueError, IndexError):
        return False
    return (0 < port < 65536 and 0 <= priority < 1 << 32 and parts[7] in ("host", "srflx", "relay")
            and not address.is_multicast and not address.is_unspecified)


def _invalid(detail: str) -> InvalidMedia:
    return InvalidMedia(detail, field="sdp")


@dataclass(frozen=True)
class Fragment:
    """A trickle ICE fragment (RFC 8840 section 9)."""

    ufrag: str
    password: str
    candidates: tuple[str, ...]  # those we can use, without "candidate:"


def read_fragment(text: str) -> Fragment:
    """Raises `InvalidMedia`."""
    if len(text) > 16 * 1024:
        raise TooLarge("an ICE fragment has at most 16384 bytes", field="sdpfrag")
    found: dict[str, str] = {}
    candidates = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line:
            continue
        if len(line) < 2 or line[1] != "=":
            raise InvalidMedia("this is not an ICE fragment (RFC 8840)", field="sdpfrag")
        name, _, value = line[2:].partition(":")
        if line[0] == "a" and name == "candidate":
            candidates.append(value)
        elif line[0] == "a":
            found[name] = value
    if len(candidates) > MAX_CANDIDATES:
        raise InvalidMedia(f"more than {MAX_CANDIDATES} candidates", field="sdpfrag")
    if "ice-ufrag" not in found and not candidates and "end-of-candidates" not in found:
        raise InvalidMedia("the fragment has neither candidates nor an ice-ufrag", field="sdpfrag")
    return Fragment(found.get("ice-ufrag", ""), found.get("ice-pwd", ""),
                    tuple(candidate for candidate in candidates if usable(candidate)))
