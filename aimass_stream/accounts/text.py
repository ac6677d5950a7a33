"""What people may call themselves and their things, and what is too little for a password."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import get_args

from ..errors import InvalidInput
from ..ports import SCOPES, Role

NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")
RESERVED = frozenset({"anyone", "api-key", "server", "wyoming"})
ERASED = "erased-"
LONGEST_TITLE = 200
PASSWORD = (10, 256)  # characters
MOST = 2**53 - 1  # of anything: what JavaScript counts to

# what is limited, and over how many seconds; 0: at one moment
QUOTAS = {"requests": 60, "sessions": 60, "session_minutes": 86400, "upload_bytes": 86400, "concurrent_sessions": 0}


def plain(text: str, field: str) -> str:
    """Text that every database keeps and every program shows. Raises `InvalidInput`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{field!r} has half a character in it", field=field) from None
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise InvalidInput(f"{field!r} has control characters", field=field)
    return text


def title_of(text: str, field: str = "title") -> str:
    """Raises `InvalidInput`."""
    text = unicodedata.normalize("NFC", plain(text, field)).strip()
    if len(text) > LONGEST_TITLE:
        raise InvalidInput(f"{field!r} has at most {LONGEST_TITLE} characters", field=field)
    return text


def name_of(text: str, field: str = "name") -> str:
    """As it is kept: two that look alike by case or width are one. Raises `InvalidInput`."""
    name = unicodedata.normalize("NFKC", plain(text, field)).strip().casefold()
    if not NAME.fullmatch(name):
        raise InvalidInput("a name has 1 to 64 letters, digits and . _ - + @, and begins with a letter or a digit",
                           field=field)
    if name in RESERVED or name.startswith(ERASED):
        raise InvalidInput(f"{name!r} is kept for the server itself", field=field)
    return name


def password_of(text: str, name: str = "", field: str = "password") -> str:
    """Raises `InvalidInput`."""
    least, most = PASSWORD
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput("the password has half a character in it", field=field) from None
    if not least <= len(text) <= most:
        raise InvalidInput(f"a password has {least} to {most} characters", field=field)
    if len(set(text)) < 4 or (name and text.casefold() in (name, name * 2, name[::-1])):
        raise InvalidInput("this password is too easily guessed", field=field)
    return text


def role_of(text: str, field: str = "role") -> Role:
    """Raises `InvalidInput`."""
    for role in get_args(Role):
        if role == text:
            return role  # type: ignore[no-any-return]
    raise InvalidInput(f"there is no role {text[:64]!r}; there are: {', '.join(get_args(Role))}", field=field)


def scopes_of(scopes: Iterable[str], may: frozenset[str], field: str = "scopes") -> frozenset[str]:
    """Raises `InvalidInput` for one that there is not, or that its maker does not have."""
    found = frozenset(scopes)
    for scope in sorted(found):
        if scope not in SCOPES:
            raise InvalidInput(f"there is no scope {scope[:64]!r}; there are: {', '.join(sorted(SCOPES))}", field=field)
        if scope not in may:
            raise InvalidInput(f"you do not have the scope {scope!r} yourself", field=field)
    return found


def quotas_of(quotas: Mapping[str, int | None], field: str = "quotas") -> dict[str, int]:
    """Those that differ from the server's own; null gives that back. Raises `InvalidInput`."""
    for name, most in quotas.items():
        if name not in QUOTAS:
            raise InvalidInput(f"there is no quota {name[:64]!r}; there are: {', '.join(QUOTAS)}", field=field)
        if most is not None and not 0 <= most <= MOST:
            raise InvalidInput(f"{name} is 0 to {MOST}", field=f"{field}.{name}")
    return {name: most for name, most in quotas.items() if most is not None}
