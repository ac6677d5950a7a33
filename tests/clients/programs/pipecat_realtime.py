"""Pipecat's OpenAI realtime service, unmodified, in a pipeline: a spoken question, a reply, an interruption, a tool.

    python pipecat_realtime.py URL KEY QUESTION INTERRUPTION
"""

import asyncio
import sys

from common import pieces, tell
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")


class Watch(FrameProcessor):
    """Stands before or behind the service and keeps what passes."""

    def __init__(self, kinds, inbox):
        super().__init__()
        self._kinds, self._inbox = kinds, inbox

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, self._kinds):
            self._inbox.put_nowait(frame)
        await self.push_frame(frame, direction)


async def collect(inbox, wanted, facts, seconds=20):
    """Frames up to one of the wanted kind."""
    async with asyncio.timeout(seconds):
        while True:
            frame = await inbox.get()
            if isinstance(frame, ErrorFrame):
                raise RuntimeError(frame.error)
            if isinstance(frame, TranscriptionFrame):
                facts["transcript"] = frame.text
            elif isinstance(frame, InterimTranscriptionFrame):
                facts["interim"] = facts.get("interim", 0) + 1
            elif isinstance(frame, TTSTextFrame):
                facts["reply"] = facts.get("reply", "") + frame.text
            elif isinstance(frame, TTSAudioRawFrame):
                facts["sound"] = facts.get("sound", 0) + len(frame.audio)
            if isinstance(frame, wanted):
                return facts


async def speak(worker, path):
    for piece in pieces(path):
        await worker.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=24_000, num_channels=1))
        await asyncio.sleep(0.02)


async def converse(worker, service, inbox, question, interruption):
    await collect(inbox, LLMFullResponseEndFrame, {})  # the greeting that it asks for
    speaking = asyncio.create_task(speak(worker, question))
    facts = await collect(inbox, LLMFullResponseEndFrame, {})
    await speaking
    tell(name="question", **facts)

    await service.send_client_event(events.ConversationItemCreateEvent(item=events.ConversationItem(
        type="message", role="user",
        content=[events.ItemContent(type="input_text", text="Tell me a long story.")])))
    await service.send_client_event(events.ResponseCreateEvent())
    story = await collect(inbox, TTSAudioRawFrame, {})
    speaking = asyncio.create_task(speak(worker, interruption))
    tell(name="interrupted", **await collect(inbox, LLMFullResponseEndFrame, story))
    tell(name="after", **await collect(inbox, LLMFullResponseEndFrame, {}))
    await speaking

    await service.send_client_event(events.ConversationItemCreateEvent(item=events.ConversationItem(
        type="message", role="user", content=[events.ItemContent(type="input_text", text="Open the front door.")])))
    await service.send_client_event(events.ResponseCreateEvent())
    await collect(inbox, LLMFullResponseEndFrame, {})
    await asyncio.sleep(0.3)  # the result goes out by itself, the question about it does not
    await service.send_client_event(events.ResponseCreateEvent())
    tell(name="done", **await collect(inbox, LLMFullResponseEndFrame, {}))
    await worker.queue_frame(EndFrame())


async def open_door(params):
    tell(name="tool", door=params.arguments["door"])
    await params.result_callback({"open": True})


async def main(url, key, question, interruption):
    tool = FunctionSchema("open_door", "Opens a door of the house.", {"door": {"type": "string"}}, ["door"])
    properties = events.SessionProperties(
        audio=events.AudioConfiguration(input=events.AudioInput(
            transcription=events.InputAudioTranscription(model="whisper-1"),
            turn_detection=events.TurnDetection(silence_duration_ms=400))))
    service = OpenAIRealtimeLLMService(
        api_key=key, base_url=f"{url.replace('http', 'ws', 1)}/v1/realtime?model=test",
        settings=OpenAIRealtimeLLMService.Settings(model="test", session_properties=properties))
    service.register_function("open_door", open_door)
    inbox = asyncio.Queue(100_000)
    kinds = (TranscriptionFrame, InterimTranscriptionFrame, TTSTextFrame, TTSAudioRawFrame, LLMFullResponseEndFrame,
             ErrorFrame)
    pipeline = Pipeline([Watch((TranscriptionFrame, InterimTranscriptionFrame, ErrorFrame), inbox), service,
                         Watch(kinds, inbox)])
    worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def begin(worker, frame):
        started.set()

    async def drive():
        await started.wait()
        context = LLMContext(messages=[{"role": "user", "content": "Say hello."}], tools=ToolsSchema([tool]))
        await worker.queue_frame(LLMContextFrame(context))
        await converse(worker, service, inbox, question, interruption)

    runner = WorkerRunner()
    await runner.add_workers(worker)
    driving = asyncio.create_task(drive())
    running = asyncio.create_task(runner.run())
    done, _ = await asyncio.wait([driving, running], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    if not running.done():
        await running


asyncio.run(main(*sys.argv[1:]))
