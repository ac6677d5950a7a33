"""What accounts are made of, once there is a database."""

from __future__ import annotations

from collections.abc import Callable

from ..ports import Personal
from ..settings import Settings
from ..store.database import Database
from .allowance import Allowance, Counters
from .audit import Audit
from .directory import Directory
from .keys import Keys
from .ledger import Ledger
from .passwords import Passwords
from .people import People
from .privacy import Privacy
from .teams import Teams
from .windows import Windows


class Parts:
    def __init__(self, settings: Settings, database: Database, directory: Directory, personal: dict[str, Personal],
                 counters: Counters, clock: Callable[[], float]) -> None:
        self.counters = counters
        self.wrong = Windows()  # server's keys, by address
        self.allowance = Allowance(settings, directory, self.counters)
        self.audit = Audit(database, clock)
        self.ledger = Ledger(database, directory, self.audit)
        self.passwords = Passwords()
        self.people = People(self.ledger, self.passwords, self.counters, sign_in_days=settings.sign_in_days,
                             clock=clock)
        self.keys = Keys(self.ledger, clock=clock)
        self.teams = Teams(self.ledger, clock=clock)
        self.privacy = Privacy(self.ledger, personal, clock=clock)

    async def close(self) -> None:
        await self.keys.note()
        await self.counters.close()
        self.passwords.close()
