"""`python -m aimass_stream` is `aimass`."""

from .cli import main

main()
