#!/bin/sh
# Write constraints.txt: the exact versions that the tests ran with. Run it after changing pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
{
  echo "# Exact versions of everything that is installed; written by tools/lock.sh."
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --extra test --extra bench \
    --no-header --no-annotate pyproject.toml
} >constraints.new
mv constraints.new constraints.txt
