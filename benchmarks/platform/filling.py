"""A hub with many models and years of usage: rows by chance, put into the database of a server that does not run."""

from __future__ import annotations

import importlib
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from aimass_stream.hub.tables import MODELS, TAGS, VERSIONS
from aimass_stream.store.database import FILE
from aimass_stream.usage.meter import BUCKETS
from aimass_stream.usage.tables import USAGE

SEED = 6
DAY, HOUR = 86400, 3600  # s
KEYS, USERS, USED = 200, 50, 100  # of usage: keys, people, models
DAYS, HOURS = 365, 48  # of usage that are told by the day and by the hour
TAGS_KNOWN = [f"tag-{number}" for number in range(200)]
TASKS = ("classification", "detection", "segmentation", "recognition", "style", "translation", "embedding", "speech",
         "generation", "regression", "tracking", "enhancement")
LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "unknown")
BEGINNINGS = ("ba", "co", "di", "fe", "ga", "hi", "jo", "ka", "lu", "me", "ni", "po", "ra", "si", "tu", "vo")
ENDINGS = ("ndel", "rant", "sper", "tion", "vell", "mor", "lith", "quin", "zard", "fex")
NONE = {f"b{place}": 0 for place in range(BUCKETS)}
WORDS = [one + other for one in BEGINNINGS for other in ENDINGS]


def fill(folder: Path, models: int, rows: int, now: float) -> dict[str, int]:
    """How many rows of each kind there are then."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA cache_size=-400000")  # KiB
        database.execute("BEGIN")
        chance = random.Random(SEED)
        made = [_model(chance, number, now) for number in range(models)]
        _insert(database, MODELS, iter(made))
        _insert(database, TAGS, ({"tag": tag, "model": each["id"]} for each in made for tag in each["tags"]))
        _insert(database, VERSIONS, (_version(each, now) for each in made))
        _insert(database, USAGE, usage(rows, now))
        database.execute(_stretches())
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {each.name: database.execute(f"SELECT count(*) FROM {each.name}").fetchone()[0]
                for each in (MODELS, TAGS, VERSIONS, USAGE)}


def _stretches() -> str:
    """The SQL by which days are added up in longer spans, as the migration to these had it."""
    return str(importlib.import_module("aimass_stream.store.migrations.versions.0008_usage_stretches").STRETCHES)


def _insert(database: sqlite3.Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """By the columns that the table has now; those that a row does not say have its usual values or NULL."""
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    places = ", ".join("?" * len(first))
    statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({places})'
    database.execute(statement, _plain(first))
    database.executemany(statement, map(_plain, rows))


def _plain(row: dict[str, Any]) -> list[Any]:
    return [json.dumps(value) if isinstance(value, (list, dict)) else value for value in row.values()]


def _model(chance: random.Random, number: int, now: float) -> dict[str, Any]:
    name = f"{chance.choice(WORDS)}-{chance.choice(WORDS)}-{number}"
    title, task = f"{chance.choice(WORDS).title()} {chance.choice(WORDS)}", chance.choice(TASKS)
    tags, card = sorted(chance.sample(TAGS_KNOWN, 3)), f"# {title}\n\n" + " ".join(chance.choices(WORDS, k=90))
    licence = chance.choice(LICENCES)
    words = " ".join(" ".join((name, title, task, licence, *tags, card[:2000])).lower().split())
    ratings = chance.randint(0, 20)
    return {"id": f"mdl_{number:012}", "name": name, "owner": f"usr_{number % USERS}",
            "visibility": "public" if number % 5 else "private", "built_in": 0, "title": title, "task": task,
            "licence": licence, "tags": tags, "card": card, "words": words, "revision": 1, "last": 1,
            "created": now - number, "updated": now - chance.random() * 1e6, "downloads": chance.randint(0, 9999),
            "stars": ratings * chance.randint(1, 5), "ratings": ratings}


def _version(model: dict[str, Any], now: float) -> dict[str, Any]:
    return {"id": model["id"].replace("mdl", "ver"), "model": model["id"], "number": 1, "state": "ready", "reason": "",
            "note": "", "created": now, "creator": model["owner"], "format": "onnx", "engine": "onnx", "size": 1000,
            "told": {}, "manifest": {}, "facts": {}}


def usage(least: int, now: float) -> Iterator[dict[str, Any]]:
    """At least so many rows of days and hours: what the server, people and keys used. In the order of the table's key,
    in which a million rows are written within seconds."""
    chance, sides = random.Random(SEED), _sides()
    spans = -(-least // sum(map(len, sides.values())))
    hours = min(HOURS, spans // 4)
    for span, length, count in (("day", DAY, min(DAYS, spans - hours)), ("hour", HOUR, hours)):
        newest = int(now // length * length)
        for (scope, by), values in sorted(sides.items()):
            for start in range(newest - length * (count - 1), newest + 1, length):
                for value in sorted(values):
                    yield _used(chance, span, start, scope, by, value)


def _sides() -> dict[tuple[str, str], list[str]]:
    """What is told apart of whom: by scope and kind."""
    keys, models = [f"key_{number}" for number in range(KEYS)], [f"model-{number}" for number in range(USED)]
    sides = {("", "total"): [""], ("", "key"): keys, ("", "model"): models}
    for number in range(USERS):
        user = f"usr_{number}"
        sides |= {(user, "total"): [""], (user, "key"): keys[number::USERS], (user, "model"): models[number % 10 :: 10]}
    for number, key in enumerate(keys):
        sides |= {(key, "total"): [""], (key, "key"): [key], (key, "model"): models[number % 20 :: 20]}
    return sides


def _used(chance: random.Random, span: str, start: int, scope: str, by: str, value: str) -> dict[str, Any]:
    count = chance.randrange(1, 500)
    row = {"span": span, "scope": scope, "by": by, "start": start, "value": value, "what": "request", "count": count,
           "errors": count // 50, "drops": 0, "seconds": count * 0.004, **NONE}
    row[f"b{2 + count % 11}"] = count
    return row
