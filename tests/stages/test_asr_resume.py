"""A client that loses its connection while somebody speaks: no word is missing afterwards, and none comes twice."""

from __future__ import annotations

import asyncio

import pytest

from aimass_stream.events import Event
from aimass_stream.frames import Samples, now

from ..support.options import settings
from ..support.server import serve
from ..support.sockets import HELLO, PCM, Socket, joined
from ..support.speech import speak
from ..support.talk import padded, words_of

pytestmark = pytest.mark.anyio

PIECE = 320  # samples at 16 kHz


@pytest.fixture(scope="module")
def speech() -> Samples:
    return padded(speak("The bell rang twice, and nine boats left the harbour at dawn."))[::3]


async def send(socket: Socket, speech: Samples, first: int, last: int, begun: float) -> None:
    """The pieces from `first` up to `last`, in real time."""
    for number in range(first, last):
        await asyncio.sleep(max(0.0, begun + number * 0.02 - now()))
        await socket.send(PCM, 0, number * PIECE, speech[number * PIECE : (number + 1) * PIECE].tobytes())


async def receive_until(socket: Socket, kind: str, **data: object) -> None:
    await socket.event(kind, 15, **data)


def events(*sockets: Socket) -> list[Event]:
    told = [text for socket in sockets for text in socket.texts if "seq" in text]
    return [Event(text["type"], text["seq"], text["pts"], text["track"], text["data"]) for text in told]


async def test_no_word_is_lost_or_repeated(speech: Samples) -> None:
    hello = HELLO | {"pipeline": [{"stage": "asr", "engine": "pocketsphinx"}]}
    pieces = len(speech) // PIECE
    async with serve(settings()) as server:
        async with joined(server.ws_url, hello) as first:
            begun = now()
            sending = asyncio.create_task(send(first, speech, 0, pieces * 3 // 5, begun))
            await receive_until(first, "transcript.committed")
            await sending
            seen = max(first.seqs)
            first.websocket.transport.abort()  # the line breaks: no close frame
        (session,) = server.node.sessions()  # it lives on and hears what has arrived
        again = HELLO | {"resume": {"session_id": session.id, "token": session.resume_token, "last_seq": seen}}
        async with joined(server.ws_url, again) as second:
            assert second.hello["resumed"]
            sending = asyncio.create_task(send(second, speech, pieces * 3 // 5, pieces, begun))
            await receive_until(second, "transcript.committed", final=True)
            await sending
        told = events(first, second)
        seqs = [event.seq for event in told]
        assert len(set(seqs)) == len(seqs)
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        words = words_of(told)
        assert len(words) >= 5
        assert words == [word.text for each in session.transcript.utterances() for word in each.words]
