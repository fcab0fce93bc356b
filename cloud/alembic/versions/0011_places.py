"""Marks of the feed's places, names that boxes take after others, divergences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "feed_marks",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_feed_marks_site_id")),
        sa.PrimaryKeyConstraint("site_id", "cursor", name=op.f("pk_feed_marks")),
        schema="executors",
    )
    # Places that were told without a mark are read again by whoever has them.
    op.execute("""
        INSERT INTO executors.feed_marks (site_id, cursor, mark)
        SELECT site_id, cursor, substring(uuid_send(gen_random_uuid()) FOR 8) FROM executors.feed""")
    op.add_column("nodes", sa.Column("parent", sa.Uuid(), nullable=True), schema="executors")
    op.add_column("nodes", sa.Column("fork", sa.BigInteger(), nullable=True), schema="executors")
    op.create_foreign_key(
        op.f("fk_nodes_parent"), "nodes", "nodes", ["parent"], ["id"],
        source_schema="executors", referent_schema="executors",
    )  # fmt: skip
    op.create_table(
        "divergences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("noticed", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_divergences")),
        schema="sync",
    )
