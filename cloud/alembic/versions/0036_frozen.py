"""Animals whose shares are fixed, and the shares that went from one animal to another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

KEEP = """
CREATE FUNCTION executors.keep_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE fixed timestamptz;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT frozen INTO fixed FROM executors.animals WHERE id = OLD.animal_id FOR SHARE;
    END IF;
    IF fixed IS NULL AND TG_OP <> 'DELETE' THEN
        SELECT frozen INTO fixed FROM executors.animals WHERE id = NEW.animal_id FOR SHARE;
    END IF;
    IF fixed IS NOT NULL THEN
        RAISE EXCEPTION 'the shares of this animal are frozen' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$"""


def upgrade() -> None:
    op.add_column("animals", sa.Column("frozen", sa.DateTime(timezone=True), nullable=True), schema="executors")
    op.execute("""
        UPDATE executors.animals SET frozen = now()
        WHERE id IN (SELECT animal_id FROM executors.sacrifices)""")
    op.execute(KEEP)
    op.execute("""
        CREATE TRIGGER keep_frozen BEFORE INSERT OR UPDATE OR DELETE ON executors.seats
        FOR EACH ROW EXECUTE FUNCTION executors.keep_frozen()""")
    op.add_column("sacrifices", sa.Column("frozen", sa.Boolean(), nullable=True), schema="executors")
    op.create_table(
        "thaws",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("animal_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["animal_id"], ["executors.animals.id"], name=op.f("fk_thaws_animal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thaws")),
        schema="executors",
    )
