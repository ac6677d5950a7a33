"""A hub with many models and years of usage: rows by chance, put into the database of a server that does not run."""

from __future__ import annotations

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
WORDS = [one + other for one in BEGINNINGS for other in ENDINGS]


def fill(folder: Path, models: int, rows: int, now: float) -> dict[str, int]:
    """How many rows of each kind there are then."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        chance = random.Random(SEED)
        made = [_model(chance, number, now) for number in range(models)]
        _insert(database, MODELS, iter(made))
        _insert(database, TAGS, ({"tag": tag, "model": each["id"]} for each in made for tag in each["tags"]))
        _insert(database, VERSIONS, (_version(each, now) for each in made))
        _insert(database, USAGE, usage(rows, now))
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {each.name: database.execute(f"SELECT count(*) FROM {each.name}").fetchone()[0]
                for each in (MODELS, TAGS, VERSIONS, USAGE)}


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


def usage(most: int, now: float) -> Iterator[dict[str, Any]]:
    """At most so many rows, from today backwards: for each day or hour what the server, people and keys used."""
    chance, count = random.Random(SEED), 0
    spans = [("hour", int(now // HOUR * HOUR) - HOUR * back) for back in range(HOURS)]
    spans += [("day", int(now // DAY * DAY) - DAY * back) for back in range(DAYS)]
    for span, start in spans:
        for scope, by, value in _sides():
            if count == most:
                return
            count += 1
            yield _used(chance, span, start, scope, by, value)


def _sides() -> Iterator[tuple[str, str, str]]:
    keys, models = [f"key_{number}" for number in range(KEYS)], [f"model-{number}" for number in range(USED)]
    yield from (("", "total", ""), *(("", "key", key) for key in keys), *(("", "model", model) for model in models))
    for number in range(USERS):
        mine = keys[number::USERS]
        yield f"usr_{number}", "total", ""
        yield from ((f"usr_{number}", "key", key) for key in mine)
        yield from ((f"usr_{number}", "model", model) for model in models[number % 10 :: 10])
    for number, key in enumerate(keys):
        yield from ((key, "total", ""), (key, "key", key))
        yield from ((key, "model", model) for model in models[number % 20 :: 20])


def _used(chance: random.Random, span: str, start: int, scope: str, by: str, value: str) -> dict[str, Any]:
    count = chance.randint(1, 500)
    buckets = {f"b{place}": 0 for place in range(BUCKETS)} | {f"b{chance.randint(2, 12)}": count}
    return {"span": span, "scope": scope, "by": by, "start": start, "value": value, "what": "request", "count": count,
            "errors": count // 50, "drops": 0, "seconds": count * 0.004, **buckets}
