"""Accounts of programs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.create_table(
        "programs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("prior_hash", sa.LargeBinary(), nullable=True),
        sa.Column("prior_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('bookkeeper', 'monitor')", name=op.f("ck_programs_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programs")),
        schema="auth",
    )
