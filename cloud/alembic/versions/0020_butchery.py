"""Hides and meat, as boxes write them down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "hides",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("animal_id", sa.Uuid(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("faults", postgresql.JSONB(), nullable=True),
        sa.Column("heat_c", sa.Integer(), nullable=True),
        sa.Column("flayed", postgresql.JSONB(), nullable=True),
        sa.Column("salted", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(["animal_id"], ["executors.animals.id"], name=op.f("fk_hides_animal_id")),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_hides_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hides")),
        schema="executors",
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("animals", postgresql.JSONB(), nullable=False),
        sa.Column("weight_g", sa.Integer(), nullable=False),
        sa.Column("packs", sa.Integer(), nullable=False),
        sa.Column("weighed", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_batches_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        schema="executors",
    )
    for table, column in (("hides", "site_id"), ("hides", "animal_id"), ("batches", "site_id")):
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], schema="executors")
