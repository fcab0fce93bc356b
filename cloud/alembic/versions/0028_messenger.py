"""The copy of a video that fits into a messenger."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_copies_variant"), "copies", schema="uploads")
    op.create_check_constraint(
        op.f("ck_copies_variant"), "copies",
        "variant IN ('original', 'compressed', 'messenger', 'poster', 'still', 'preview')", schema="uploads",
    )  # fmt: skip
