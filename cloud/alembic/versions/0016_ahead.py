"""What goes ahead of a video: a picture and some seconds of it from the box, and what the box's check ended with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("videos", sa.Column("said", sa.Text(), nullable=True), schema="uploads")
    op.drop_constraint(op.f("ck_copies_variant"), "copies", schema="uploads")
    op.create_check_constraint(
        op.f("ck_copies_variant"), "copies",
        "variant IN ('original', 'compressed', 'poster', 'still', 'preview')", schema="uploads",
    )  # fmt: skip
