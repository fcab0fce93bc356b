"""Reviews: people decide what checks could not, and what they ask the site to do again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("sacrifice_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("automatic", sa.Text(), nullable=False),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_by", sa.Uuid(), nullable=True),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('flagged', 'blind')", name=op.f("ck_reviews_kind")),
        sa.CheckConstraint("decision IN ('approved', 'rejected', 'remedy')", name=op.f("ck_reviews_decision")),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_reviews")),
        schema="processing",
    )
    op.create_index(
        "ix_reviews_open", "reviews", ["deadline", "opened"], schema="processing",
        postgresql_where=sa.text("decided IS NULL"),
    )  # fmt: skip
    op.create_table(
        "votes",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("vote", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("vote IN ('approve', 'reject', 'remedy')", name=op.f("ck_votes_vote")),
        sa.ForeignKeyConstraint(["video_id"], ["processing.reviews.video_id"], name=op.f("fk_votes_video_id_reviews")),
        sa.PrimaryKeyConstraint("video_id", "user_id", name=op.f("pk_votes")),
        schema="processing",
    )
    op.add_column("videos", sa.Column("remedy", sa.Text(), nullable=True), schema="uploads")
    op.add_column(
        "repeats", sa.Column("wanting", sa.Boolean(), nullable=False, server_default="false"), schema="processing"
    )
