"""Sites, animals, seats, boxes, sacrifices, the site feed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE SCHEMA executors")
    op.create_table(
        "sites",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("languages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        schema="executors",
    )
    op.create_table(
        "animals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("species", sa.Text(), nullable=False),
        sa.Column("pen", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.CheckConstraint("species IN ('sheep', 'goat', 'cow', 'buffalo', 'camel')", name=op.f("ck_animals_species")),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_animals_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_animals")),
        sa.UniqueConstraint("id", "capacity", name=op.f("uq_animals_id_capacity")),
        sa.UniqueConstraint("site_id", "tag", name=op.f("uq_animals_site_id_tag")),
        schema="executors",
    )
    op.create_table(
        "executors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=False),
        sa.Column("left", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_executors_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_executors")),
        schema="executors",
    )
    op.create_index(op.f("ix_executors_site_id"), "executors", ["site_id"], schema="executors")
    op.create_table(
        "feed",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_feed_site_id")),
        sa.PrimaryKeyConstraint("site_id", "entity", "key", name=op.f("pk_feed")),
        schema="executors",
    )
    op.create_index("ix_feed_cursor", "feed", ["site_id", "cursor"], unique=True, schema="executors")
    op.create_table(
        "feed_heads",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_feed_heads_site_id")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_feed_heads")),
        schema="executors",
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sign_key", sa.LargeBinary(), nullable=False),
        sa.Column("seal_key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_nodes_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        schema="executors",
    )
    op.create_index(op.f("ix_nodes_site_id"), "nodes", ["site_id"], schema="executors")
    op.create_table(
        "enrolment_codes",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("node_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["executors.nodes.id"], name=op.f("fk_enrolment_codes_node_id")),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_enrolment_codes_site_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_enrolment_codes")),
        schema="executors",
    )
    op.create_table(
        "sacrifices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("node", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("animal_id", sa.Uuid(), nullable=False),
        sa.Column("executor_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("verified", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["animal_id"], ["executors.animals.id"], name=op.f("fk_sacrifices_animal_id")),
        sa.ForeignKeyConstraint(["node"], ["executors.nodes.id"], name=op.f("fk_sacrifices_node")),
        sa.ForeignKeyConstraint(["site_id"], ["executors.sites.id"], name=op.f("fk_sacrifices_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sacrifices")),
        schema="executors",
    )
    op.create_index(op.f("ix_sacrifices_animal_id"), "sacrifices", ["animal_id"], schema="executors")
    op.create_table(
        "seats",
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("animal_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND capacity", name=op.f("ck_seats_within_capacity")),
        sa.ForeignKeyConstraint(
            ["animal_id", "capacity"],
            ["executors.animals.id", "executors.animals.capacity"],
            name=op.f("fk_seats_animal_id_capacity"),
        ),
        sa.PrimaryKeyConstraint("share_id", name=op.f("pk_seats")),
        sa.UniqueConstraint("animal_id", "number", name=op.f("uq_seats_animal_id_number")),
        schema="executors",
    )
