"""The schema of the box's database, as steps that run in order from wherever a box stands.

A step that has shipped is never edited: add the next one at the end.
"""

from __future__ import annotations

import sqlite_utils
from sqlite_utils.migrations import Migrations

steps = Migrations("edge")


def apply(tx: sqlite_utils.Database) -> None:
    """Run the steps that are missing, inside the caller's transaction: all of them or none."""
    steps.apply(tx)


@steps()
def node(tx: sqlite_utils.Database) -> None:
    """Who this box is (one row once it is enrolled) and where it stands with the hub (always one row)."""
    tx.executescript("""
        CREATE TABLE node (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            id TEXT NOT NULL,
            site_id TEXT NOT NULL,
            name TEXT NOT NULL,
            hub_url TEXT NOT NULL,
            hub_sign_key BLOB NOT NULL,
            hub_seal_key BLOB NOT NULL
        ) STRICT;
        CREATE TABLE link (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            acked INTEGER NOT NULL DEFAULT 0,   -- the highest op that the hub holds durably
            cursor INTEGER NOT NULL DEFAULT 0,  -- how far the site feed has been read
            hub_hlc INTEGER NOT NULL DEFAULT 0, -- the hub's clock as last seen, as a stamp
            contact_ms INTEGER,                 -- when the hub last answered, by our wall clock
            error TEXT                          -- why the last attempt failed; NULL when it did not
        ) STRICT;
        INSERT INTO link (one) VALUES (1);
    """)


@steps()
def feed(tx: sqlite_utils.Database) -> None:
    """What the hub tells the site. Absent fields are NULL: the hub may learn them later."""
    tx.executescript("""
        CREATE TABLE site (id TEXT PRIMARY KEY, name TEXT, timezone TEXT, languages TEXT) STRICT;
        CREATE TABLE animal (id TEXT PRIMARY KEY, site_id TEXT, tag TEXT, species TEXT, pen TEXT) STRICT;
        CREATE TABLE share (
            id TEXT PRIMARY KEY, animal_id TEXT, reference TEXT, name TEXT, language TEXT, spellings TEXT
        ) STRICT;
        CREATE INDEX share_animal ON share (animal_id);
        CREATE TABLE executor (id TEXT PRIMARY KEY, name TEXT, pin_hash TEXT, language TEXT) STRICT;
        CREATE TABLE receipt (id TEXT PRIMARY KEY, blob_id TEXT, body TEXT, signature BLOB) STRICT;
    """)


@steps()
def capture(tx: sqlite_utils.Database) -> None:
    """What the site records, and the chain of ops that tells the hub."""
    tx.executescript("""
        CREATE TABLE op (
            seq INTEGER PRIMARY KEY CHECK (seq > 0),
            hlc INTEGER NOT NULL,
            entity TEXT NOT NULL,
            key TEXT NOT NULL,
            patch BLOB NOT NULL,  -- canonical MessagePack
            actor TEXT NOT NULL,
            prev BLOB NOT NULL,
            hash BLOB NOT NULL,
            sig BLOB NOT NULL,
            wall_ms INTEGER NOT NULL,
            parked TEXT           -- why the hub could not apply it: "code: detail"
        ) STRICT;
        CREATE TABLE sacrifice (
            id TEXT PRIMARY KEY,
            animal_id TEXT NOT NULL UNIQUE,  -- an animal is sacrificed once
            executor_id TEXT NOT NULL,
            opened TEXT NOT NULL,            -- a clock reading, JSON
            state TEXT NOT NULL
        ) STRICT;
        CREATE TABLE blob (
            id TEXT PRIMARY KEY,             -- SHA-256 of the sealed bytes, hex
            size INTEGER NOT NULL,           -- sealed bytes
            sent INTEGER NOT NULL DEFAULT 0  -- 1 when the hub holds it and has checked its hash
        ) STRICT;
        CREATE TABLE video (
            id TEXT PRIMARY KEY,
            sacrifice_id TEXT NOT NULL REFERENCES sacrifice (id),
            blob_id TEXT NOT NULL REFERENCES blob (id),
            sha256 TEXT NOT NULL,            -- of the original, hex
            size INTEGER NOT NULL,           -- bytes of the original
            media_type TEXT NOT NULL,
            captured TEXT NOT NULL           -- a clock reading, JSON
        ) STRICT;
        CREATE INDEX video_sacrifice ON video (sacrifice_id);
        CREATE TABLE verdict (
            id TEXT PRIMARY KEY,
            video_id TEXT NOT NULL UNIQUE REFERENCES video (id),
            outcome TEXT NOT NULL,
            body TEXT NOT NULL               -- JSON
        ) STRICT;
    """)


@steps()
def jobs(tx: sqlite_utils.Database) -> None:
    """The ledger of work. A lease is a date in the future and a token that nobody else has."""
    tx.executescript("""
        CREATE TABLE job (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,               -- the id of the record that it is about
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'parked')),
            attempts INTEGER NOT NULL DEFAULT 0,
            token TEXT,                      -- of whoever took it last
            boot TEXT NOT NULL DEFAULT '',   -- not before this moment of the monotonic clock; another boot: now
            due_ms INTEGER NOT NULL DEFAULT 0,
            reason TEXT,                     -- of the last failure
            UNIQUE (kind, key)
        ) STRICT;
        CREATE INDEX job_open ON job (id) WHERE state = 'open';
    """)
