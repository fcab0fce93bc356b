"""The index of all acts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "prints",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_prints")),
        sa.UniqueConstraint("number", name=op.f("uq_prints_number")),
        schema="processing",
    )
    op.create_table(
        "marks",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tick", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "number", "tick", name=op.f("pk_marks")),
        schema="processing",
    )
    op.create_table(
        "repeats",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("earlier_id", sa.Uuid(), nullable=False),
        sa.Column("picture", sa.Float(), nullable=True),
        sa.Column("sound", sa.Float(), nullable=True),
        sa.Column("mirrored", sa.Boolean(), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("video_id", "earlier_id", name=op.f("pk_repeats")),
        schema="processing",
    )
    op.create_index(op.f("ix_videos_sha256"), "videos", ["sha256"], schema="uploads")
    op.alter_column("checks", "copied", new_column_name="compared", schema="processing")
    op.add_column(
        "checks", sa.Column("comparable", sa.Boolean(), server_default="true", nullable=False), schema="processing"
    )
    # Videos from before there was an index get into it, and those whose check has not ended are compared first.
    op.execute("UPDATE processing.checks SET compared = NULL WHERE ended IS NULL")
    op.execute("""
        INSERT INTO platform.jobs (id, queue, key, payload, state, attempts, due, created)
        SELECT gen_random_uuid(), 'sameAct', id::text, jsonb_build_object('video_id', id::text), 'queued', 0, created,
               created
        FROM uploads.videos WHERE state IN ('preprocessed', 'processed') ORDER BY created
    """)
