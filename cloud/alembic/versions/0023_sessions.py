"""By what its owner knows a session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("agent", sa.Text(), nullable=False, server_default=""), schema="auth")
    op.alter_column("sessions", "agent", server_default=None, schema="auth")
