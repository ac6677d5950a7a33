"""The `wyoming` package's client, unmodified: what there is, a clip recognised, a text spoken whole and in pieces.

    python wyoming_voice.py HOST PORT QUESTION
"""

import asyncio
import sys

from common import pieces, tell
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice
from wyoming.vad import VoiceStarted, VoiceStopped

FORM = {"rate": 24_000, "width": 2, "channels": 1}


async def described(client):
    await client.write_event(Describe().event())
    info = Info.from_event(await client.read_event())
    tell(name="info", asr=[[each.name, [model.name for model in each.models]] for each in info.asr],
         streaming=[each.supports_transcript_streaming for each in info.asr],
         voices={each.name: len(each.voices) for each in info.tts},
         languages=sorted({language for each in info.tts for voice in each.voices for language in voice.languages}))
    await client.write_event(Ping(text="hello").event())
    tell(name="pong", text=Pong.from_event(await client.read_event()).text)
    return info.tts[0].voices[0].name


async def heard(client, path):
    await client.write_event(Transcribe(language="en").event())
    await client.write_event(AudioStart(**FORM).event())
    for piece in pieces(path):
        await client.write_event(AudioChunk(audio=piece, **FORM).event())
        await asyncio.sleep(0.02)
    await client.write_event(AudioStop().event())
    facts = {"kinds": [], "chunks": ""}
    while True:
        event = await client.read_event()
        facts["kinds"].append(event.type)
        if Error.is_type(event.type):
            raise RuntimeError(Error.from_event(event).text)
        if TranscriptChunk.is_type(event.type):
            facts["chunks"] += TranscriptChunk.from_event(event).text
        elif VoiceStarted.is_type(event.type):
            facts["started"] = VoiceStarted.from_event(event).timestamp
        elif VoiceStopped.is_type(event.type):
            facts["stopped"] = VoiceStopped.from_event(event).timestamp
        elif Transcript.is_type(event.type):
            facts["transcript"] = Transcript.from_event(event).text
        elif TranscriptStart.is_type(event.type):
            TranscriptStart.from_event(event)
        elif TranscriptStop.is_type(event.type):
            tell(name="heard", **facts)
            return


async def spoken(client, name, last):
    """Sound up to the last event of this kind."""
    facts = {"bytes": 0, "kinds": []}
    while True:
        event = await client.read_event()
        facts["kinds"].append(event.type)
        if Error.is_type(event.type):
            raise RuntimeError(Error.from_event(event).text)
        if AudioStart.is_type(event.type):
            facts["rate"] = AudioStart.from_event(event).rate
        elif AudioChunk.is_type(event.type):
            facts["bytes"] += len(AudioChunk.from_event(event).audio)
        if last.is_type(event.type):
            tell(name=name, **facts)
            return


async def main(host, port, question):
    async with AsyncTcpClient(host, int(port)) as client:
        voice = await described(client)
        await heard(client, question)
        await client.write_event(Synthesize("The boats are out.", voice=SynthesizeVoice(name=voice)).event())
        await spoken(client, "spoken", AudioStop)
        await client.write_event(SynthesizeStart().event())
        for word in ("The", "boats", "are", "out.", "The", "sea", "is", "calm", "today."):
            await client.write_event(SynthesizeChunk(word + " ").event())
        await client.write_event(Synthesize("The boats are out. The sea is calm today.").event())
        await client.write_event(SynthesizeStop().event())
        await spoken(client, "streamed", SynthesizeStopped)


asyncio.run(main(*sys.argv[1:]))
