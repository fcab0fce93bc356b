"""Links in letters, and addresses that were confirmed by one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("users", sa.Column("confirmed", sa.DateTime(timezone=True), nullable=True), schema="auth")
    op.execute("UPDATE auth.users SET confirmed = created")
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["auth.users.id"], name=op.f("fk_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        schema="auth",
    )
    op.create_index(op.f("ix_links_user_id"), "links", ["user_id"], schema="auth")
    op.alter_column("notifications", "order_id", nullable=True, schema="notifications")
