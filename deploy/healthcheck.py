"""Exit status 0 while the server of this container lives; for HEALTHCHECK."""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request


def main() -> int:
    port = os.environ.get("AIMASS_PORT", "8000")
    context = None
    if os.environ.get("AIMASS_TLS"):
        context = ssl.create_default_context()
        context.check_hostname = False  # it is ourselves, and the certificate may be of our own making
        context.verify_mode = ssl.CERT_NONE
    address = f"http{'s' if context else ''}://127.0.0.1:{port}/healthz"
    try:
        with urllib.request.urlopen(address, timeout=4, context=context) as answer:
            return int(answer.status != 200)
    except OSError as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
