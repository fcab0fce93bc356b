"""The hub's schema and how it changes. One revision a change, in one line: see :mod:`cloud.alembic.migrations`."""
