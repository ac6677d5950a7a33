"""openai-python, unmodified: a file of requests, a batch of it, its answers.

    python openai_batches.py URL KEY FILE
"""

import json
import sys
import time
from pathlib import Path

from common import tell
from openai import BadRequestError, NotFoundError, OpenAI


def main(url, key, path):
    client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    with open(path, "rb") as file:
        sent = client.files.create(file=file, purpose="batch")
    tell(name="file", purpose=sent.purpose, bytes=sent.bytes,
         listed=[each.id for each in client.files.list()] == [sent.id])
    batch = client.batches.create(input_file_id=sent.id, endpoint="/predict", completion_window="24h",
                                  metadata={"for": "a test"})
    until = time.monotonic() + 60
    while batch.status not in ("completed", "failed", "cancelled") and time.monotonic() < until:
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    tell(name="batch", status=batch.status, counts=batch.request_counts.model_dump(), metadata=batch.metadata,
         listed=[each.id for each in client.batches.list(limit=1)] == [batch.id])
    lines = client.files.content(batch.output_file_id).text.splitlines()
    answers = {each["custom_id"]: each["response"]["body"] for each in map(json.loads, lines)}
    tell(name="answers", **{name: body.get("output") for name, body in answers.items()})
    try:
        client.batches.cancel("batch_none")
    except NotFoundError as error:
        tell(name="nobody", message=error.body["message"])
    try:
        client.batches.create(input_file_id=sent.id, endpoint="/v1/chat/completions", completion_window="24h")
    except BadRequestError as error:
        tell(name="wrong", param=error.param)
    tell(name="deleted", deleted=client.files.delete(sent.id).deleted, size=Path(path).stat().st_size)


main(*sys.argv[1:])
