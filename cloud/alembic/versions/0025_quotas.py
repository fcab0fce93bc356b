"""Whose a sealed file is and how large: what a quota is counted by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("blobs", sa.Column("site_id", sa.Uuid(), nullable=True), schema="uploads")
    op.add_column("blobs", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"), schema="uploads")
    op.create_index(op.f("ix_blobs_site_id"), "blobs", ["site_id"], schema="uploads")
    op.execute("""
        UPDATE uploads.blobs AS blob SET site_id = told.site_id, size = told.size FROM (
            SELECT blob_id, site_id, size FROM uploads.videos UNION SELECT blob_id, site_id, size FROM uploads.photos
        ) AS told WHERE told.blob_id = blob.id AND blob.arrived IS NOT NULL""")
    op.execute("""
        INSERT INTO uploads.blobs (id, arrived, site_id, size)
        SELECT DISTINCT ON (copy.blob_id) copy.blob_id, copy.created, video.site_id, copy.size
        FROM uploads.copies AS copy JOIN uploads.videos AS video ON video.id = copy.video_id
        WHERE copy.variant IN ('compressed', 'poster') ON CONFLICT DO NOTHING""")
