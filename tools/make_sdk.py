"""Makes the npm package `aimass-stream` of web/sdk in dist/aimass-stream, or in the folder that is named.

esbuild makes each module small, with a source map back to it; TypeScript's compiler writes declarations by their JSDoc.
Nothing is bundled: whoever bundles a page drops what it does not use.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
TSC, ESBUILD = (WEB / "node_modules" / ".bin" / name for name in ("tsc", "esbuild"))
TYPES = ("events.d.ts", "api.d.ts")
LIMIT = 20_000  # bytes of all modules, each as gzip


def make(target: Path) -> int:
    """The package's folder, made anew; answers how large its modules are, each as gzip, in bytes."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    minify(sorted((WEB / "sdk").glob("*.js")), target, "--sourcemap")
    subprocess.run([TSC, "-p", WEB / "sdk" / "tsconfig.json", "--noEmit", "false", "--outDir", target / "types",
                    "--declaration", "--emitDeclarationOnly"], check=True)
    for name in ("link.d.ts", "streams.d.ts"):
        shutil.copy(WEB / "sdk" / name, target / "types" / "sdk" / name)
    (target / "types" / "types").mkdir()
    for name in TYPES:
        shutil.copy(WEB / "types" / name, target / "types" / "types" / name)
    for name in ("package.json", "README.md"):
        shutil.copy(WEB / "sdk" / name, target / name)
    shutil.copy(ROOT / "LICENSE", target / "LICENSE")
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in target.glob("*.js"))


def minify(modules: list[Path], target: Path, *options: str) -> None:
    """Each by itself, under its own name in `target`."""
    subprocess.run([ESBUILD, *modules, "--minify", "--format=esm", "--target=es2022", "--log-level=warning",
                    f"--outdir={target}", *options], check=True)


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / "aimass-stream"
    size = make(target)
    sys.stdout.write(f"{target}: {size} bytes as gzip\n")
    return 0 if size <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
