"""Verdicts are sealed, as they tell which names were said: where the hub keeps them, and in the ops that told them.

Like 0024 not for running releases of before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud.alembic.sealing import Sealer, rewrite

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("verdicts", sa.Column("sealed", sa.LargeBinary(), nullable=True), schema="processing")
    sealer = Sealer()
    sealer.each(
        "SELECT id, body FROM processing.verdicts",
        "UPDATE processing.verdicts SET sealed = :sealed WHERE id = :id",
        lambda row: {
            "id": row["id"], "sealed": sealer.seal(row["id"], f"processing.verdicts/{row['id']}", row["body"])},
    )
    sealer.each(
        "SELECT node, seq, key, patch FROM sync.ops WHERE entity = 'verdict'",
        "UPDATE sync.ops SET patch = :sealed WHERE node = :node AND seq = :seq",
        lambda row: {
            "node": row["node"], "seq": row["seq"],
            "sealed": sealer.seal(row["key"], f"sync.ops/{row['node']}/{row['seq']}", row["patch"])},
    )
    sealer.each(
        "SELECT key, cells FROM sync.records WHERE entity = 'verdict' AND cells <> '\\x80'",
        "UPDATE sync.records SET cells = :sealed WHERE entity = 'verdict' AND key = :key",
        lambda row: {
            "key": row["key"], "sealed": sealer.seal(row["key"], f"sync.records/verdict/{row['key']}", row["cells"])},
    )
    op.alter_column("verdicts", "sealed", nullable=False, schema="processing")
    op.drop_column("verdicts", "body", schema="processing")
    rewrite("processing.verdicts", "outcome")
    rewrite("sync.ops", "entity")
    rewrite("sync.records", "entity")
