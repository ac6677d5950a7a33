"""Users, teams, keys, cookie sessions, what they may do and how much of it, and the log of what they did."""

from __future__ import annotations

from .accounts import COOKIES, Accounts, csrf_of, session_cookie
from .tokens import LONGEST

__all__ = ["COOKIES", "LONGEST", "Accounts", "csrf_of", "session_cookie"]
