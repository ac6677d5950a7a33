"""Pages that the server writes: signing in, one's account, models, what was used, and what admins look after."""

from __future__ import annotations

from . import account, admin, apps, embed, models, sign, teams, usage, versions
from .drawn import install

ROUTERS = (sign.router, account.router, teams.router, models.router, versions.router, apps.router, embed.router,
           usage.router, admin.router)

__all__ = ["ROUTERS", "install"]
