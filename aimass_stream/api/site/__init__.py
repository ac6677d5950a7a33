"""Pages that the server writes: signing in, one's account, models, and what admins look after."""

from __future__ import annotations

from . import account, models, sign

ROUTERS = (sign.router, account.router, models.router)

__all__ = ["ROUTERS"]
