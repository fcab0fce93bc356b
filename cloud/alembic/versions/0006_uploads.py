"""Videos and their copies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("CREATE SCHEMA uploads")
    op.create_table(
        "blobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("arrived", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs")),
        schema="uploads",
    )
    op.create_table(
        "videos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sacrifice_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blob_id", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("captured", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('expected', 'arrived', 'preprocessed', 'processed', 'failed')", name=op.f("ck_videos_state")
        ),
        sa.ForeignKeyConstraint(["blob_id"], ["uploads.blobs.id"], name=op.f("fk_videos_blob_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
        schema="uploads",
    )
    op.create_index(op.f("ix_videos_blob_id"), "videos", ["blob_id"], schema="uploads")
    op.create_index(op.f("ix_videos_sacrifice_id"), "videos", ["sacrifice_id"], schema="uploads")
    op.create_table(
        "copies",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("blob_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("variant IN ('original', 'compressed', 'poster')", name=op.f("ck_copies_variant")),
        sa.ForeignKeyConstraint(["video_id"], ["uploads.videos.id"], name=op.f("fk_copies_video_id")),
        sa.PrimaryKeyConstraint("video_id", "variant", name=op.f("pk_copies")),
        schema="uploads",
    )
