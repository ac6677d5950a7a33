"""Writes the browser extension to dist/aimass-stream-extension.zip, or to the file that is named."""

from __future__ import annotations

import sys
from pathlib import Path

from aimass_stream.api.extension import NAME, pack

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(pack())
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
