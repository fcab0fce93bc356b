"""Personal data are sealed, each person's with a key of their own; what lies there in the clear is sealed here.

Not for running releases of before: they know the columns that go. In one transaction, so a program that is killed in
it leaves everything as it was. The tables are written anew at the end, as a dropped column stays in the rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud.alembic.sealing import Sealer, rewrite

revision = "0024"
down_revision = "0023"

_CLEAR = {
    "auth.users": ("email", "name"),
    "donors.donors": ("name", "email", "phone"),
    "donors.shares": ("name", "spellings"),
    "executors.executors": ("name",),
}
"""What is personal in each table; its struct has the fields in this order, by these names."""

_SUBJECT = {"donors.shares": "(SELECT donor_id FROM donors.orders WHERE orders.id = order_id)"}


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("master", sa.Text(), nullable=True),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("destroyed", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_data_keys")),
        schema="platform",
    )
    op.create_index(op.f("ix_data_keys_master"), "data_keys", ["master", "subject"], schema="platform")
    for full in [*_CLEAR, "executors.feed"]:
        schema, table = full.split(".")
        op.add_column(table, sa.Column("subject", sa.Uuid(), nullable=True), schema=schema)
        op.add_column(table, sa.Column("sealed", sa.LargeBinary(), nullable=True), schema=schema)
        op.create_index(op.f(f"ix_{table}_subject"), table, ["subject"], schema=schema)
        op.create_foreign_key(
            op.f(f"fk_{table}_subject"), table, "data_keys", ["subject"], ["subject"], source_schema=schema,
            referent_schema="platform")
    op.add_column("users", sa.Column("email_index", sa.LargeBinary(), nullable=True), schema="auth")
    op.add_column("donors", sa.Column("phone_index", sa.LargeBinary(), nullable=True), schema="donors")

    _seal()

    op.create_unique_constraint(op.f("uq_users_email_index"), "users", ["email_index"], schema="auth")
    op.create_index(op.f("ix_donors_phone_index"), "donors", ["phone_index"], schema="donors")
    for full, columns in _CLEAR.items():
        schema, table = full.split(".")
        for column in columns:
            op.drop_column(table, column, schema=schema)
        for column in ("subject", "sealed"):
            op.alter_column(table, column, nullable=False, schema=schema)
        rewrite(full, "language")
    rewrite("executors.feed", "entity")


def _seal() -> None:
    sealer = Sealer()
    for full, columns in _CLEAR.items():
        subject = _SUBJECT.get(full, "id")
        rows = f"SELECT id, {subject} AS subject, {', '.join(columns)} FROM {full}"  # noqa: S608 - constants
        change = f"UPDATE {full} SET subject = :subject, sealed = :sealed WHERE id = :id"  # noqa: S608
        sealer.each(rows, change, lambda row, full=full, columns=columns: {
            "id": row["id"], "subject": row["subject"], "sealed": sealer.seal(
                row["subject"], f"{full}/{row['id']}", {column: row[column] for column in columns}),
        })  # fmt: skip
    for full, column, index in (("auth.users", "email", "email_index"), ("donors.donors", "phone", "phone_index")):
        rows = f"SELECT id, {column} AS clear FROM {full} WHERE {column} <> ''"  # noqa: S608 - constants
        change = f"UPDATE {full} SET {index} = :blind WHERE id = :id"  # noqa: S608 - constants
        sealer.each(rows, change, lambda row, column=column: {
            "id": row["id"], "blind": sealer.keys.blind(column, row["clear"])})
    sealer.each(
        """SELECT site_id, entity, feed.key, feed.fields, coalesce(shares.subject, feed.key) AS about
           FROM executors.feed LEFT JOIN donors.shares ON entity = 'share' AND shares.id = feed.key
           WHERE entity IN ('share', 'executor') AND fields IS NOT NULL""",
        """UPDATE executors.feed SET fields = NULL, subject = :about, sealed = :sealed
           WHERE site_id = :site_id AND entity = :entity AND key = :key""",
        lambda row: {
            "site_id": row["site_id"], "entity": row["entity"], "key": row["key"], "about": row["about"],
            "sealed": sealer.seal(
                row["about"], f"executors.feed/{row['site_id']}/{row['entity']}/{row['key']}", row["fields"]),
        },
    )  # fmt: skip
