"""Orders may come to a state again, and films that were found good can be doubted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.drop_constraint(op.f("pk_steps"), "steps", schema="donors")
    op.add_column("steps", sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False), schema="donors")
    op.create_primary_key(op.f("pk_steps"), "steps", ["id"], schema="donors")
    op.create_index(op.f("ix_steps_order_id"), "steps", ["order_id"], schema="donors")
    op.add_column("reviews", sa.Column("reason", sa.Text(), nullable=True), schema="processing")
    op.drop_constraint(op.f("ck_reviews_kind"), "reviews", schema="processing")
    op.create_check_constraint(
        op.f("ck_reviews_kind"), "reviews", "kind IN ('flagged', 'blind', 'disputed')", schema="processing"
    )
