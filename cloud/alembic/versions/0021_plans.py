"""How many animals a site plans to sacrifice in an hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("sites", sa.Column("per_hour", sa.Integer(), nullable=True), schema="executors")
