"""Donors and shares are found by what their names sound like; those that are there already, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from cloud.alembic.sealing import Sealer
from cloud.donors.search import tokens

revision = "0037"
down_revision = "0036"

_KEYS = "JOIN platform.data_keys AS key ON key.subject = row.subject WHERE key.wrapped IS NOT NULL"
_OF = "SELECT row.id, row.subject, row.sealed, key.master, key.wrapped FROM"


def upgrade() -> None:
    op.create_table(
        "sounds",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("about", sa.Uuid(), nullable=False),
        sa.Column("donor_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["donor_id"], ["donors.donors.id"], name=op.f("fk_sounds_donor_id")),
        sa.PrimaryKeyConstraint("token", "about", name=op.f("pk_sounds")),
        schema="donors",
    )
    op.create_index(op.f("ix_sounds_about"), "sounds", ["about"], schema="donors")
    op.create_index(op.f("ix_sounds_donor_id"), "sounds", ["donor_id"], schema="donors")
    sealer = Sealer()
    for table in ("donors.donors", "donors.shares"):
        def found_by(row: Mapping[str, Any], table: str = table) -> list[dict[str, Any]]:
            said = sealer.open(row, f"{table}/{row['id']}")
            others = said["phone"] if table == "donors.shares" and "phone" in said else ""
            found = tokens(sealer.keys, [said["name"], *said.get("spellings", ())], others)
            return [{"token": token, "about": row["id"], "donor_id": row["subject"]} for token in sorted(found)]

        sealer.fan_out(
            f"{_OF} {table} AS row {_KEYS}",
            "INSERT INTO donors.sounds (token, about, donor_id) VALUES (:token, :about, :donor_id)", found_by)
