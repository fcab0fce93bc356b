"""Teams of a site, and what is said of a video to whoever recorded it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    op.create_table(
        "teams",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_teams_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        schema="executors",
    )
    op.create_index(op.f("ix_teams_site_id"), "teams", ["site_id"], schema="executors")
    op.add_column("executors", sa.Column("team_id", sa.Uuid(), nullable=True), schema="executors")
    op.create_foreign_key(
        op.f("fk_executors_team_id"), "executors", "teams", ["team_id"], ["id"], source_schema="executors",
        referent_schema="executors",
    )
    op.add_column(
        "executors", sa.Column("leads", sa.Boolean(), server_default="false", nullable=False), schema="executors"
    )
    op.create_index(
        "uq_executors_lead", "executors", ["team_id"], unique=True, schema="executors",
        postgresql_where=sa.text("leads"),
    )
    op.add_column("videos", sa.Column("feedback", sa.Text(), nullable=True), schema="uploads")
