"""Makes a module small as far as that needs no parser: no comments, no indentation, short private names, numbers in
place of the constants that name them. Each statement of such a module ends with a semicolon or a brace.
"""

from __future__ import annotations

import itertools
import re
import string
from collections import Counter

import rjsmin

LETTERS = "".join(dict.fromkeys("tesrion" + string.ascii_letters))  # first those that code is full of: gzip likes them
LAST = re.compile(rb",(?=[}\])])|;(?=})|(?<=})\n")  # what may as well be left out there
USED = re.compile(rb"\.#(\w+)")  # a private name where it is certainly one, and no colour in a text
CONSTANT = re.compile(rb"(?<!export )\bconst ([A-Z][A-Z_]*)=([\d_.]+);")


def small(module: bytes) -> bytes:
    """The same module to a browser. Tests compare what a compiler makes of both, for each that is served."""
    code = bytes(rjsmin.jsmin(module)).replace(b'"\n+"', b"")  # a text over several lines is one
    constants = dict(CONSTANT.findall(code))
    code = re.sub(rb"(?<![\w.#])[A-Z][A-Z_]*\b", lambda name: constants.get(name[0], name[0]), CONSTANT.sub(b"", code))
    code = LAST.sub(b"", code)
    letters = LETTERS.encode()
    names = itertools.chain.from_iterable(itertools.product(letters, repeat=length) for length in itertools.count(1))
    short = {name: bytes(next(names)) for name, _ in Counter(USED.findall(code)).most_common()}
    return re.sub(rb"#(\w+)", lambda found: b"#" + short.get(found[1], found[1]), code)
