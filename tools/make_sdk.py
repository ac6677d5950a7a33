"""Makes the npm package `aimass-stream` of web/sdk in dist/aimass-stream, or in the folder that is named.

TypeScript's compiler takes the comments out of the modules, and this their indentation, with source maps back to them;
it writes declarations by their JSDoc. Nothing is bundled: whoever bundles a page drops what it does not use. Servers
serve web/sdk as it lies.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
TSC = WEB / "node_modules" / ".bin" / "tsc"
TYPES = ("events.d.ts", "api.d.ts")
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LIMIT = 20_000  # bytes of all modules, each as gzip


def make(target: Path) -> int:
    """The package's folder, made anew; answers how large its modules are, each as gzip, in bytes."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    base = [str(TSC), "-p", str(WEB / "sdk" / "tsconfig.json"), "--noEmit", "false"]
    made = target / "made"
    subprocess.run([*base, "--outDir", str(made), "--removeComments", "--sourceMap", "--inlineSources"], check=True)
    for path in (made / "sdk").iterdir():
        shutil.move(path, target / path.name)
    for path in target.glob("*.js"):
        outdent(path)
    shutil.rmtree(made)
    subprocess.run([*base, "--outDir", str(target / "types"), "--declaration", "--emitDeclarationOnly"], check=True)
    for name in ("link.d.ts", "streams.d.ts"):
        shutil.copy(WEB / "sdk" / name, target / "types" / "sdk" / name)
    (target / "types" / "types").mkdir()
    for name in TYPES:
        shutil.copy(WEB / "types" / name, target / "types" / "types" / name)
    shutil.copy(WEB / "sdk" / "package.json", target / "package.json")
    shutil.copy(ROOT / "LICENSE", target / "LICENSE")
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in target.glob("*.js"))


def outdent(module: Path) -> None:
    """Takes the indentation out of a module, and out of the columns of its source map."""
    lines = module.read_text(encoding="utf-8").splitlines()
    if any(line.count("`") % 2 for line in lines):
        raise ValueError(f"{module.name}: a text over several lines can't be outdented")
    path = module.with_name(f"{module.name}.map")
    found = json.loads(path.read_text(encoding="utf-8"))
    mapped = found["mappings"].split(";")
    for number, (line, mapping) in enumerate(zip(lines, mapped, strict=False)):
        indent = len(line) - len(line.lstrip())
        if indent and mapping:
            column, rest = _number(mapping)
            mapped[number] = _digits(max(0, column - indent)) + rest  # what follows counts from there
    found["mappings"] = ";".join(mapped)
    path.write_text(json.dumps(found, separators=(",", ":")), encoding="utf-8")
    module.write_text("\n".join(line.lstrip() for line in lines) + "\n", encoding="utf-8")


def _number(text: str) -> tuple[int, str]:
    """The first base 64 VLQ of a text, not negative, and what is behind it."""
    value = shift = 0
    for place, digit in enumerate(text):
        bits = DIGITS.index(digit)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            return value >> 1, text[place + 1:]
    raise ValueError("a mapping ends in the middle of a number")


def _digits(value: int) -> str:
    left, text = value << 1, ""
    while True:
        left, bits = left >> 5, left & 31
        text += DIGITS[bits | (32 if left else 0)]
        if not left:
            return text


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "aimass-stream"
    size = make(target)
    sys.stdout.write(f"{target}: {size} bytes as gzip\n")
    return 0 if size <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
