"""openai-agents' realtime session, unmodified: a spoken question, a spoken reply, an interruption, a tool.

    python openai_agents.py URL KEY QUESTION INTERRUPTION
"""

import asyncio
import os
import sys

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner
from common import pieces, tell


@function_tool
def open_door(door: str) -> str:
    """Opens a door of the house."""
    tell(name="tool", door=door)
    return f"the {door} door is open"


async def speak(session, path):
    for piece in pieces(path):
        await session.send_audio(piece)
        await asyncio.sleep(0.02)


def history(items):
    """Role and words of each message."""
    told = []
    for item in items:
        if item.type == "message":
            texts = [getattr(part, "transcript", None) or getattr(part, "text", None) or "" for part in item.content]
            told.append([item.role, " ".join(texts), getattr(item, "status", None)])
    return told


async def until(session, events, wanted, so_far=None):
    """Everything up to an event of this type."""
    facts = so_far or {"kinds": [], "sound": 0, "transcript": "", "errors": []}
    async for event in events:
        facts["kinds"].append(event.type)
        if event.type == "audio":
            facts["sound"] += len(event.audio.data)
        elif event.type == "raw_model_event" and event.data.type == "input_audio_transcription_completed":
            facts["transcript"] = event.data.transcript
        elif event.type == "error":
            facts["errors"].append(str(event.error))
        elif event.type == "history_updated":
            facts["history"] = history(event.history)
        elif event.type == "history_added":
            facts.setdefault("added", []).append(event.item.type)
        if event.type == wanted:
            return facts
    raise RuntimeError(f"the session ended: {facts}")


async def main(url, key, question, interruption):
    agent = RealtimeAgent(name="Assistant", instructions="Be brief.", tools=[open_door])
    runner = RealtimeRunner(agent, config={"model_settings": {
        "model_name": "test",
        "audio": {"input": {"format": "pcm16", "transcription": {"model": "whisper-1"},
                            "turn_detection": {"type": "server_vad", "interrupt_response": True,
                                               "silence_duration_ms": 400}},
                  "output": {"format": "pcm16", "voice": "ash"}}}})
    session = await runner.run(model_config={
        "url": f"{url.replace('http', 'ws', 1)}/v1/realtime?model=test", "api_key": key})
    async with session:
        events = session.__aiter__()
        speaking = asyncio.create_task(speak(session, question))
        tell(name="question", **await until(session, events, "agent_end"))
        await speaking

        await session.send_message("Tell me a long story.")
        await until(session, events, "audio")
        speaking = asyncio.create_task(speak(session, interruption))
        tell(name="interrupted", **await until(session, events, "audio_interrupted"))
        await until(session, events, "agent_end")  # of the story
        tell(name="after", **await until(session, events, "agent_end"))
        await speaking

        await session.send_message("Open the front door.")
        await until(session, events, "tool_end")
        # the turn that called the tool may end after the tool did; the one that tells of it has sound
        heard = await until(session, events, "audio")
        tell(name="done", **await until(session, events, "agent_end", heard))


asyncio.run(main(*sys.argv[1:]))
