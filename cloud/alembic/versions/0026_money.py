"""Prices, what orders cost, instalments, refunds, and the ledger, whose entries the database itself balances."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

BALANCED = """
    CREATE FUNCTION donors.balanced() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM donors.postings WHERE entry_id = NEW.entry_id GROUP BY currency HAVING sum(minor) <> 0)
        THEN RAISE EXCEPTION 'the entry % does not balance', NEW.entry_id USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$"""
KEPT = """
    CREATE FUNCTION donors.kept() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'what is in the ledger stays' USING ERRCODE = 'check_violation'; END $$"""


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.add_column("steps", sa.Column("why", sa.Text(), server_default="", nullable=False), schema="donors")
    op.add_column("payments", sa.Column("reference", sa.Text(), server_default="", nullable=False), schema="donors")
    op.add_column("orders", sa.Column("site_id", sa.Uuid(), nullable=True), schema="donors")
    op.add_column("orders", sa.Column("currency", sa.Text(), nullable=True), schema="donors")
    op.add_column("orders", sa.Column("minor", sa.BigInteger(), nullable=True), schema="donors")
    op.create_table(
        "prices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=True),
        sa.Column("species", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("animal", sa.BigInteger(), nullable=False),
        sa.Column("transport", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("animal > 0 AND transport >= 0 AND fee >= 0", name=op.f("ck_prices_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint(
            "species", "currency", "site_id", name="uq_prices_of", postgresql_nulls_not_distinct=True),
        schema="donors",
    )
    op.create_table(
        "refunds",
        sa.Column("payment_key", sa.Text(), nullable=False),
        sa.Column("wanted", when, nullable=False),
        sa.Column("wanted_by", sa.Uuid(), nullable=True),
        sa.Column("approved", when, nullable=True),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("done", when, nullable=True),
        sa.CheckConstraint("approved_by <> wanted_by", name=op.f("ck_refunds_four_eyes")),
        sa.ForeignKeyConstraint(["payment_key"], ["donors.payments.key"], name=op.f("fk_refunds_payment_key")),
        sa.PrimaryKeyConstraint("payment_key", name=op.f("pk_refunds")),
        schema="donors",
    )
    op.create_table(
        "callbacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", when, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
        schema="donors",
    )
    op.create_table(
        "instalments",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due", when, nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["donors.orders.id"], name=op.f("fk_instalments_order_id")),
        sa.PrimaryKeyConstraint("order_id", "number", name=op.f("pk_instalments")),
        schema="donors",
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", when, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["donors.orders.id"], name=op.f("fk_entries_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        schema="donors",
    )
    op.create_index(op.f("ix_entries_order_id"), "entries", ["order_id"], schema="donors")
    op.create_table(
        "postings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["donors.entries.id"], name=op.f("fk_postings_entry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postings")),
        schema="donors",
    )
    op.create_index(op.f("ix_postings_entry_id"), "postings", ["entry_id"], schema="donors")
    op.execute(BALANCED)
    op.execute("""
        CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON donors.postings DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION donors.balanced()""")
    op.execute(KEPT)
    for table in ("entries", "postings"):
        op.execute(f"""
            CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON donors.{table}
            FOR EACH STATEMENT EXECUTE FUNCTION donors.kept()""")
