"""Dead letters, how far the broker had come, and how long jobs take."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        schema="platform",
    )
    op.create_index(op.f("ix_dead_letters_event_id"), "dead_letters", ["event_id"], schema="platform")
    op.create_table(
        "acknowledged",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name=op.f("pk_acknowledged")),
        schema="platform",
    )
    op.add_column("jobs", sa.Column("started", sa.DateTime(timezone=True), nullable=True), schema="platform")
    op.add_column("jobs", sa.Column("ended", sa.DateTime(timezone=True), nullable=True), schema="platform")
    op.create_index("ix_jobs_done", "jobs", ["queue", "ended"], schema="platform", postgresql_where="state = 'done'")
