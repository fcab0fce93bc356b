"""What the boxes sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("CREATE SCHEMA sync")
    op.create_table(
        "chains",
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("acked", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_chains")),
        schema="sync",
    )
    op.create_table(
        "conflicts",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("noticed", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("entity", "key", "field", name=op.f("pk_conflicts")),
        schema="sync",
    )
    op.create_table(
        "ops",
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hlc", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("patch", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sig", sa.LargeBinary(), nullable=True),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parked_code", sa.Text(), nullable=True),
        sa.Column("parked_detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", "seq", name=op.f("pk_ops")),
        schema="sync",
    )
    op.create_index("ix_ops_parked", "ops", ["node", "seq"], schema="sync", postgresql_where="parked_code IS NOT NULL")
    op.create_table(
        "proofs",
        sa.Column("jti", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_proofs")),
        schema="sync",
    )
    op.create_index(op.f("ix_proofs_until"), "proofs", ["until"], schema="sync")
    op.create_table(
        "records",
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "key", name=op.f("pk_records")),
        schema="sync",
    )
