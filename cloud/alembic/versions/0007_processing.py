"""Verdicts and checks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE SCHEMA processing")
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        schema="processing",
    )
    op.create_index(op.f("ix_verdicts_video_id"), "verdicts", ["video_id"], schema="processing")
    op.create_table(
        "checks",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("verdict_id", sa.Uuid(), nullable=True),
        sa.Column("copied", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('authentic', 'review', 'rejected')", name=op.f("ck_checks_outcome")),
        sa.ForeignKeyConstraint(["verdict_id"], ["processing.verdicts.id"], name=op.f("fk_checks_verdict_id")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_checks")),
        schema="processing",
    )
