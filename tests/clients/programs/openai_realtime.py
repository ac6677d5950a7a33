"""openai-python's realtime client, unmodified: a spoken question, a spoken reply, an interruption, a function call.

    python openai_realtime.py URL KEY QUESTION INTERRUPTION
"""

import asyncio
import base64
import json
import sys

from common import pieces, tell
from openai import AsyncOpenAI

TOOL = {"type": "function", "name": "open_door", "description": "Opens a door of the house.",
        "parameters": {"type": "object", "properties": {"door": {"type": "string"}}, "required": ["door"]}}


async def speak(connection, path):
    for piece in pieces(path):
        await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        await asyncio.sleep(0.02)


async def answer(connection, *, wanted="completed", sounding=None):
    """Events up to the response's end; what was heard and said. `sounding` is set with the first sound."""
    facts = {"transcript": "", "reply": "", "sound": 0, "calls": [], "kinds": []}
    async for event in connection:
        facts["kinds"].append(event.type)
        if event.type == "conversation.item.input_audio_transcription.completed":
            facts["transcript"] = event.transcript
        elif event.type == "response.output_audio_transcript.delta":
            facts["reply"] += event.delta
        elif event.type == "response.output_audio.delta":
            facts["sound"] += len(base64.b64decode(event.delta))
            facts["item"] = event.item_id
            if sounding is not None:
                sounding.set()
        elif event.type == "response.function_call_arguments.done":
            facts["calls"].append([event.name, json.loads(event.arguments), event.call_id])
        elif event.type == "error":
            raise RuntimeError(event.error.message)
        elif event.type == "response.done":
            facts["status"] = event.response.status
            facts["reason"] = event.response.status_details.reason
            facts["tokens"] = [event.response.usage.input_token_details.text_tokens,
                               event.response.usage.output_token_details.audio_tokens]
            if event.response.status == wanted:
                return facts
    raise RuntimeError("the connection ended")


async def main(url, key, question, interruption):
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key)
    async with client.realtime.connect(model="test") as connection:
        await connection.session.update(session={
            "type": "realtime", "instructions": "Be brief.", "tools": [TOOL],
            "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"},
                                "turn_detection": {"type": "server_vad", "silence_duration_ms": 400}},
                      "output": {"voice": "marin"}}})
        speaking = asyncio.create_task(speak(connection, question))
        tell(name="question", **await answer(connection))
        await speaking

        # a long reply that is spoken over
        await connection.conversation.item.create(item={
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tell me a long story."}]})
        await connection.response.create()
        sounding = asyncio.Event()
        told = asyncio.create_task(answer(connection, wanted="cancelled", sounding=sounding))
        await sounding.wait()
        await asyncio.sleep(1.0)
        speaking = asyncio.create_task(speak(connection, interruption))
        cut = await told
        await connection.conversation.item.truncate(item_id=cut["item"], content_index=0, audio_end_ms=500)
        tell(name="interrupted", **cut)
        tell(name="after", **await answer(connection))
        await speaking

        # a function of ours
        await connection.conversation.item.create(item={
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Open the front door."}]})
        await connection.response.create()
        called = await answer(connection)
        tell(name="called", **called)
        await connection.conversation.item.create(item={
            "type": "function_call_output", "call_id": called["calls"][0][2], "output": '{"open": true}'})
        await connection.response.create()
        tell(name="done", **await answer(connection))


asyncio.run(main(*sys.argv[1:]))
