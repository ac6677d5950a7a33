"""Use by hour, by day and by 16 days. One row says how much of one thing was used in one span, seen from one side.

`scope` is whose: "" for the whole server, or the id of a user, team, key or app. `by` is what is told apart: "total",
"key", "app" or "model", and `value` which one. So each question reads the rows that it shows and adds up little.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, String, Table

from ..store.database import METADATA
from .meter import BUCKETS

USAGE = Table(
    "usage", METADATA,
    Column("span", String, primary_key=True),  # hour, day, stretch
    Column("scope", String, primary_key=True),
    Column("by", String, primary_key=True),
    Column("start", BigInteger, primary_key=True),  # s since the epoch
    Column("value", String, primary_key=True),
    Column("what", String, primary_key=True),  # request, session, frame, words
    Column("count", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("drops", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    *(Column(f"b{number}", BigInteger, nullable=False) for number in range(BUCKETS)),
)
