"""Links to an order for people without an account, and certificates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.execute("CREATE SCHEMA guests")
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.Column("created", when, nullable=False),
        sa.Column("expires", when, nullable=False),
        sa.Column("revoked", when, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        schema="guests",
    )
    for column in ("order_id", "donor_id"):
        op.create_index(op.f(f"ix_links_{column}"), "links", [column], schema="guests")
    op.create_table(
        "certificates",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("issued", when, nullable=False),
        sa.Column("withdrawn", when, nullable=True),
        sa.Column("shown", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_certificates")),
        schema="guests",
    )
    op.create_index(op.f("ix_certificates_order_id"), "certificates", ["order_id"], schema="guests")
    op.create_index(
        "uq_certificates_standing", "certificates", ["order_id"], unique=True, schema="guests",
        postgresql_where=sa.text("withdrawn IS NULL"))
