"""openai-python, unmodified: files as text in its ways, text as a file, and the list of models.

    python openai_files.py URL KEY CLIP FOLDER
"""

import sys
from pathlib import Path

from common import tell
from openai import BadRequestError, NotFoundError, OpenAI


def main(url, key, clip, folder):
    client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    models = client.models.list()
    tell(name="models", ids=[model.id for model in models])
    with open(clip, "rb") as file:
        plain = client.audio.transcriptions.create(model="whisper-1", file=file)
    tell(name="json", text=plain.text, seconds=plain.usage.seconds)
    with open(clip, "rb") as file:
        verbose = client.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json",
                                                     timestamp_granularities=["word", "segment"], language="en")
    tell(name="verbose", language=verbose.language, words=[word.word for word in verbose.words],
         ends=[word.end for word in verbose.words], segments=[segment.text for segment in verbose.segments])
    with open(clip, "rb") as file:
        tell(name="srt", text=client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt"))
    with open(clip, "rb") as file:
        stream = client.audio.transcriptions.create(model="whisper-1", file=file, stream=True)
        events = list(stream)
    tell(name="stream", kinds=[event.type for event in events], text=events[-1].text,
         deltas="".join(event.delta for event in events[:-1]))
    try:
        client.audio.transcriptions.create(model="whisper-1", file=("song.mp3", b"PK\x03\x04 no sound"))
    except BadRequestError as error:
        tell(name="bad file", message=error.body["message"], param=error.param)
    try:
        client.audio.transcriptions.create(model="gpt-9", file=Path(clip))
    except NotFoundError as error:
        tell(name="bad model", message=error.body["message"], param=error.param)
    target = Path(folder) / "hello.wav"
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Hello from your own server.", response_format="wav",
    ) as speech:
        speech.stream_to_file(target)
    tell(name="speech", size=target.stat().st_size)


main(*sys.argv[1:])
