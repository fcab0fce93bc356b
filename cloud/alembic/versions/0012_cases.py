"""What a person decided about a conflict."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("conflicts", sa.Column("settled", sa.DateTime(timezone=True), nullable=True), schema="sync")
    op.add_column("conflicts", sa.Column("settled_by", sa.Uuid(), nullable=True), schema="sync")
    op.add_column("conflicts", sa.Column("decision", sa.Text(), nullable=True), schema="sync")
