"""Second factors, and refresh tokens that may be shown again by the device that has them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    def add(table: str, column: sa.Column) -> None:
        op.add_column(table, column, schema="auth")

    moment = sa.DateTime(timezone=True)
    add("users", sa.Column("second_factor", moment, nullable=True))
    add("users", sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
    add("users", sa.Column("recovery", postgresql.JSONB(), nullable=False, server_default="[]"))
    for column in ("totp_step", "recovery"):
        op.alter_column("users", column, server_default=None, schema="auth")
    add("sessions", sa.Column("prior_hash", sa.LargeBinary(), nullable=True))
    add("sessions", sa.Column("device_key", sa.LargeBinary(), nullable=True))
    add("sessions", sa.Column("proved", moment, nullable=True))
