"""Who has watched a video."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["uploads.videos.id"], name=op.f("fk_views_video_id")),
        sa.PrimaryKeyConstraint("video_id", "donor_id", name=op.f("pk_views")),
        schema="uploads",
    )
