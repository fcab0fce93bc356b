"""Consents, and receipts of what was erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.execute("CREATE SCHEMA privacy")
    op.create_table(
        "erasures",
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("donor_id", name=op.f("pk_erasures")),
        schema="privacy",
    )
    op.create_table(
        "consents",
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("given", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["donor_id"], ["donors.donors.id"], name=op.f("fk_consents_donor_id")),
        sa.PrimaryKeyConstraint("donor_id", "purpose", "given", name=op.f("pk_consents")),
        schema="donors",
    )
