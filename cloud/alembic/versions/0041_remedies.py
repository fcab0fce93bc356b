"""Orders that stand in the place of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    op.add_column("orders", sa.Column("instead_of", sa.Uuid(), nullable=True), schema="donors")
    op.create_unique_constraint(op.f("uq_orders_instead_of"), "orders", ["instead_of"], schema="donors")
    op.create_foreign_key(
        op.f("fk_orders_instead_of"), "orders", "orders", ["instead_of"], ["id"], source_schema="donors",
        referent_schema="donors")
