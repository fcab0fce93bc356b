"""Donors, orders, shares, payments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE SCHEMA donors")
    op.create_table(
        "donors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_donors")),
        schema="donors",
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False, start=1001), nullable=False),
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.Column("species", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("species IN ('sheep', 'goat', 'cow', 'buffalo', 'camel')", name=op.f("ck_orders_species")),
        sa.ForeignKeyConstraint(["donor_id"], ["donors.donors.id"], name=op.f("fk_orders_donor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
        schema="donors",
    )
    op.create_index(op.f("ix_orders_donor_id"), "orders", ["donor_id"], schema="donors")
    op.create_table(
        "payments",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("booked", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("minor > 0", name=op.f("ck_payments_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["donors.orders.id"], name=op.f("fk_payments_order_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_payments")),
        schema="donors",
    )
    op.create_index(op.f("ix_payments_order_id"), "payments", ["order_id"], schema="donors")
    op.create_table(
        "shares",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("spellings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["donors.orders.id"], name=op.f("fk_shares_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        schema="donors",
    )
    op.create_index(op.f("ix_shares_order_id"), "shares", ["order_id"], schema="donors")
    op.create_table(
        "steps",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["donors.orders.id"], name=op.f("fk_steps_order_id")),
        sa.PrimaryKeyConstraint("order_id", "state", name=op.f("pk_steps")),
        schema="donors",
    )
