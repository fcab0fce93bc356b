"""Shares that went to another animal, Eid by countries, and sacrifices that count though they were outside of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    op.create_table(
        "moves",
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("to_id", sa.Uuid(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["from_id"], ["executors.animals.id"], name=op.f("fk_moves_from_id")),
        sa.ForeignKeyConstraint(["to_id"], ["executors.animals.id"], name=op.f("fk_moves_to_id")),
        sa.PrimaryKeyConstraint("share_id", "at", name=op.f("pk_moves")),
        schema="executors",
    )
    op.create_table(
        "moons",
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("country", name=op.f("pk_moons")),
        schema="executors",
    )
    op.add_column("sites", sa.Column("country", sa.Text(), nullable=True), schema="executors")
    op.create_index(op.f("ix_sites_country"), "sites", ["country"], schema="executors")
    op.add_column(
        "sites", sa.Column("eid_own", sa.Boolean(), server_default="false", nullable=False), schema="executors"
    )
    op.execute("UPDATE executors.sites SET eid_own = eid_day IS NOT NULL")
    op.create_table(
        "overrides",
        sa.Column("sacrifice_id", sa.Uuid(), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sacrifice_id", name=op.f("pk_overrides")),
        schema="processing",
    )
    op.execute("""
        INSERT INTO processing.overrides (sacrifice_id, by, at, reason)
        SELECT DISTINCT ON (review.sacrifice_id) review.sacrifice_id, vote.user_id, review.decided, vote.note
        FROM processing.reviews review
        JOIN processing.checks USING (video_id)
        JOIN processing.votes vote ON vote.video_id = review.video_id AND vote.vote = 'approve'
        WHERE review.decision = 'approved' AND review.kind <> 'blind'
        AND checks.reasons ?| ARRAY['outside_eid', 'eid_unsure']
        ORDER BY review.sacrifice_id, vote.at DESC""")
