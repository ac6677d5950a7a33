"""A folder that is served at an origin of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what is asked for is no news."""

    def end_headers(self) -> None:
        """Of a page that is written anew within a second, browsers would keep what was there before."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """Answers the folder's origin."""
    (folder / "favicon.ico").write_bytes(b"")  # browsers ask for it, and log that there is none
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
