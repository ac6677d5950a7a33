"""The names under which REST offers models: what is built in, what the hub deployed, and ``auto:TASK``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...errors import NotFound
from ...hub.records import NAMED
from ...inference import Entry
from ...ports import Caller
from ..oip.offered import FolderCatalogue, Served, offered

if TYPE_CHECKING:
    from ...hub.hub import Hub

# "auto:classification", "auto:detection:40ms", "auto:detection:best"
AUTO = re.compile(r"auto:([a-z0-9-]{1,64})(?::([0-9]{1,6})ms)?(?::(best|balanced|fast))?")


class HubCatalogue(FolderCatalogue):
    """As the one of folders, until there is a `hub`."""

    hub: Hub | None = None

    def names(self) -> list[str]:
        """Also what is deployed for everybody."""
        names = super().names()
        if self.hub is not None:
            models = self.hub.deployments.models
            names += [name for name in self.hub.deployments.names()
                      if any(offered(entry.inputs) for entry in models[name].entries.values())]
        return names

    def versions(self, name: str) -> list[str]:
        found = None if self.hub is None else self.hub.deployments.models.get(name.partition("@")[0])
        return super().versions(name) if found is None else [str(number) for number in sorted(found.entries)]

    def resolve(self, name: str, version: str = "", *, caller: Caller | None = None) -> Served:
        """``fish``, ``fish@staging``, ``fish@7`` or ``fish`` and a version, which may be an alias."""
        hub = self.hub
        if hub is None or name in self._entries:
            return super().resolve(name, version, caller=caller)
        asked = AUTO.fullmatch(name)
        if asked:
            chosen = hub.auto(caller or Caller(""), asked[1], float(asked[2]) if asked[2] else None,
                              asked[3] or "balanced")  # type: ignore[arg-type]
            base, _, number = chosen.served.partition("@")
            return Served(chosen.served, base, number or self._entries[base].version, chosen.reason)
        try:
            choice = hub.deployments.resolve(f"{name}@{version}" if version and "@" not in name else name, caller)
        except NotFound as error:
            if name.partition("@")[0] in hub.deployments.models:
                raise
            raise NotFound(f"{error.detail}; there are: {', '.join(self.names()) or 'none'}", field="model") from None
        named = choice.reason == NAMED  # the caller left nothing open
        return Served(choice.served, choice.name, str(choice.number), "" if named else choice.reason)

    def entry(self, served: Served) -> Entry:
        if self.hub is not None and "@" in served.engine:
            return self.hub.deployments.entry(served.engine)
        return super().entry(served)
