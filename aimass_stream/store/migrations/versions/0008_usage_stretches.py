"""Days of use, added up for each 16 of them as well."""

from __future__ import annotations

from alembic import op

revision = "0008_usage_stretches"
down_revision = "0007_watch"

STRETCH = 16 * 86400  # s
SUMMED = ("count", "errors", "drops", "seconds", *(f"b{number}" for number in range(32)))
NAMES = ", ".join(f'"{name}"' for name in SUMMED)
SUMS = ", ".join(f'SUM("{name}")' for name in SUMMED)
STRETCHES = f"""
    INSERT INTO usage (span, scope, "by", start, value, what, {NAMES})
    SELECT 'stretch', scope, "by", start / {STRETCH} * {STRETCH}, value, what, {SUMS}
    FROM usage WHERE span = 'day' GROUP BY scope, "by", start / {STRETCH}, value, what
"""


def upgrade() -> None:
    op.execute(STRETCHES)
