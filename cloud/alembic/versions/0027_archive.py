"""The archive: where sealed files lie, which videos are held, and who has asked for one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("blobs", sa.Column("hot", sa.Boolean(), nullable=False, server_default=sa.true()), schema="uploads")
    op.add_column("blobs", sa.Column("cold", sa.DateTime(timezone=True), nullable=True), schema="uploads")
    op.create_check_constraint(op.f("ck_blobs_somewhere"), "blobs", "hot OR cold IS NOT NULL", schema="uploads")
    op.add_column("videos", sa.Column("held", sa.Text(), nullable=True), schema="uploads")
    op.add_column("videos", sa.Column("hot_until", sa.DateTime(timezone=True), nullable=True), schema="uploads")
    op.create_index(op.f("ix_copies_blob_id"), "copies", ["blob_id"], schema="uploads")
    op.create_table(
        "restores",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["video_id"], ["uploads.videos.id"], name=op.f("fk_restores_video_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restores")),
        schema="uploads",
    )
    op.create_index(op.f("ix_restores_video_id"), "restores", ["video_id"], schema="uploads")
    op.add_column(
        "notifications", sa.Column("occasion", sa.Text(), nullable=False, server_default=""), schema="notifications")
    op.drop_constraint(op.f("uq_notifications_order_id_template"), "notifications", schema="notifications")
    op.create_unique_constraint(
        op.f("uq_notifications_order_id_template_occasion"), "notifications", ["order_id", "template", "occasion"],
        schema="notifications",
    )  # fmt: skip
