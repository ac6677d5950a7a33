"""WhisperLive's own server, started as its run_server does, with a model from a directory.

`single_model` and `max_clients` are set in its favour: one model for all clients, and nobody is turned away.
"""

import argparse

from whisper_live.server import TranscriptionServer

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    given = parser.parse_args()
    TranscriptionServer().run("127.0.0.1", port=given.port, backend="faster_whisper",
                              faster_whisper_custom_model_path=given.model, single_model=True, max_clients=16,
                              max_connection_time=3600)
