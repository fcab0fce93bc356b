"""Animals as boxes take them in, and photos."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for name, kind in (
        ("node", sa.Uuid()), ("weight_g", sa.Integer()), ("age_months", sa.Integer()), ("sex", sa.Text()),
        ("defects", postgresql.JSONB()), ("vet_note", sa.Text()), ("arrived", postgresql.JSONB()),
    ):  # fmt: skip
        op.add_column("animals", sa.Column(name, kind, nullable=True), schema="executors")
    op.add_column(
        "sites", sa.Column("sheep_months", sa.Integer(), server_default="6", nullable=False), schema="executors"
    )
    op.alter_column("sites", "sheep_months", server_default=None, schema="executors")
    op.drop_constraint(op.f("uq_animals_site_id_tag"), "animals", schema="executors")
    op.create_index(
        "uq_animals_listed_tag", "animals", ["site_id", "tag"], unique=True, schema="executors",
        postgresql_where=sa.text("node IS NULL"))  # fmt: skip
    op.create_table(
        "photos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("of", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("blob_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        schema="uploads",
    )
    op.create_index(op.f("ix_photos_of"), "photos", ["of"], schema="uploads")
