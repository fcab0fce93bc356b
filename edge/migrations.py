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


@steps()
def sticks(tx: sqlite_utils.Database) -> None:
    """What was written on a stick last, and when, by our wall clock: it may be on its way to the hub."""
    tx.executescript("""
        ALTER TABLE link ADD COLUMN stick_seq INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE link ADD COLUMN stick_ms INTEGER;
        ALTER TABLE blob ADD COLUMN stick_ms INTEGER;
    """)


@steps()
def manifests(tx: sqlite_utils.Database) -> None:
    """Each capture's number from the moment it is kept, and what was signed of it once it was checked."""
    tx.executescript("""
        CREATE TABLE manifest (
            node TEXT NOT NULL,     -- under which name of this box
            number INTEGER NOT NULL CHECK (number > 0),
            video_id TEXT NOT NULL REFERENCES video (id),
            previous TEXT NOT NULL, -- SHA-256 of the video numbered before, hex
            uncertain_ms INTEGER,   -- by how much the clock may have been off when it was kept; NULL: nobody knows
            text TEXT,              -- the manifest as it was signed; NULL until the check has ended
            PRIMARY KEY (node, number),
            UNIQUE (node, video_id)
        ) STRICT;
        -- The readings of both clocks at the last contact.
        ALTER TABLE link ADD COLUMN contact_hub_ms INTEGER;
        ALTER TABLE link ADD COLUMN contact_mono_ms INTEGER;
        ALTER TABLE link ADD COLUMN contact_boot TEXT;
    """)


@steps()
def told(tx: sqlite_utils.Database) -> None:
    """The site feed as it was told; ``edge.feed`` makes views of it where there were tables."""
    tx.executescript("""
        CREATE TABLE feed (
            entity TEXT NOT NULL,
            key TEXT NOT NULL,
            fields TEXT NOT NULL,     -- JSON
            reading INTEGER NOT NULL, -- during which whole reading of the feed it was last met
            PRIMARY KEY (entity, key)
        ) STRICT;
        CREATE INDEX feed_share_animal ON feed (fields ->> 'animal_id') WHERE entity = 'share';
        ALTER TABLE link ADD COLUMN mark BLOB NOT NULL DEFAULT x'';   -- the hub's name for the place at cursor
        ALTER TABLE link ADD COLUMN reading INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE link ADD COLUMN is_reading INTEGER NOT NULL DEFAULT 0; -- a whole reading has not ended yet
        ALTER TABLE link ADD COLUMN repaired INTEGER NOT NULL DEFAULT 0;   -- records that differed from the hub's
        -- The hub does not know a place without a mark, so all of it is read again; until then, this is here.
        INSERT INTO feed SELECT 'site', id,
            json_object('name', name, 'timezone', timezone, 'languages', json(languages)), 0 FROM site;
        INSERT INTO feed SELECT 'animal', id,
            json_object('site_id', site_id, 'tag', tag, 'species', species, 'pen', pen), 0 FROM animal;
        INSERT INTO feed SELECT 'share', id, json_object('animal_id', animal_id, 'reference', reference,
            'name', name, 'language', language, 'spellings', json(spellings)), 0 FROM share;
        INSERT INTO feed SELECT 'executor', id,
            json_object('name', name, 'pin_hash', pin_hash, 'language', language), 0 FROM executor;
        DROP TABLE site;
        DROP TABLE animal;
        DROP TABLE share;
        DROP TABLE executor;
        DROP TABLE receipt;
    """)


@steps()
def identities(tx: sqlite_utils.Database) -> None:
    """A box that finds another one under its name takes a further one; what it had signed before is kept."""
    tx.executescript("""
        ALTER TABLE node ADD COLUMN sign_file TEXT NOT NULL DEFAULT 'sign.pem';
        CREATE TABLE former_node (id TEXT PRIMARY KEY, sign_file TEXT NOT NULL, common INTEGER NOT NULL) STRICT;
        CREATE TABLE former_op (
            node TEXT NOT NULL REFERENCES former_node (id),
            seq INTEGER NOT NULL,
            hlc INTEGER NOT NULL,
            entity TEXT NOT NULL,
            key TEXT NOT NULL,
            patch BLOB NOT NULL,
            actor TEXT NOT NULL,
            prev BLOB NOT NULL,
            hash BLOB NOT NULL,
            sig BLOB NOT NULL,
            wall_ms INTEGER NOT NULL,
            parked TEXT,
            PRIMARY KEY (node, seq)
        ) STRICT;
    """)


@steps()
def claims(tx: sqlite_utils.Database) -> None:
    """Which tablet stands before which animal, until when by the monotonic clock of which boot."""
    tx.executescript("""
        CREATE TABLE claim (
            animal_id TEXT PRIMARY KEY,
            executor_id TEXT NOT NULL,
            tablet TEXT NOT NULL,
            token INTEGER NOT NULL,  -- one more for each new holder; an older one is refused
            boot TEXT NOT NULL,
            until_ms INTEGER NOT NULL
        ) STRICT;
    """)


@steps()
def events(tx: sqlite_utils.Database) -> None:
    """What changed, in one order, for tablets that look on. Written by whatever transaction changed it."""
    tx.executescript("""
        CREATE TABLE event (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            entity TEXT NOT NULL,
            key TEXT NOT NULL
        ) STRICT;
        CREATE TRIGGER event_op AFTER INSERT ON op BEGIN
            INSERT INTO event (entity, key) VALUES (NEW.entity, NEW.key);
        END;
        CREATE TRIGGER event_feed AFTER UPDATE OF cursor ON link WHEN NEW.cursor <> OLD.cursor BEGIN
            INSERT INTO event (entity, key) SELECT 'site', site_id FROM node;
        END;
        CREATE TRIGGER event_sent AFTER UPDATE OF sent ON blob WHEN NEW.sent <> OLD.sent BEGIN
            INSERT INTO event (entity, key) VALUES ('blob', NEW.id);
        END;
        CREATE TRIGGER event_claimed AFTER INSERT ON claim BEGIN
            INSERT INTO event (entity, key) VALUES ('claim', NEW.animal_id);
        END;
        CREATE TRIGGER event_claim AFTER UPDATE ON claim WHEN NEW.token <> OLD.token OR NEW.until_ms = 0 BEGIN
            INSERT INTO event (entity, key) VALUES ('claim', NEW.animal_id);
        END;
        -- Whoever was away for longer begins anew.
        CREATE TRIGGER event_end AFTER INSERT ON event WHEN NEW.seq % 1000 = 0 BEGIN
            DELETE FROM event WHERE seq <= NEW.seq - 20000;
        END;
    """)


@steps()
def pruned(tx: sqlite_utils.Database) -> None:
    """A blob that the hub has confirmed may leave the box; its record stays."""
    tx.executescript("ALTER TABLE blob ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;")


@steps()
def receipts(tx: sqlite_utils.Database) -> None:
    """When the hub had a whole file durably, by a receipt whose signature was checked. Nothing less frees space."""
    tx.executescript("ALTER TABLE blob ADD COLUMN confirmed_ms INTEGER;")


@steps()
def copies(tx: sqlite_utils.Database) -> None:
    """The files that go ahead of a video. The feed is read anew, so that each receipt is checked as it is today."""
    tx.executescript("""
        CREATE TABLE copy (
            blob_id TEXT PRIMARY KEY REFERENCES blob (id),
            video_id TEXT NOT NULL REFERENCES video (id),
            variant TEXT NOT NULL CHECK (variant IN ('poster', 'preview')),
            UNIQUE (video_id, variant)
        ) STRICT;
        UPDATE link SET mark = x'';
    """)


@steps()
def recordings(tx: sqlite_utils.Database) -> None:
    """What the box's own cameras were told to record. The id is that of the video that comes of it."""
    tx.executescript("""
        CREATE TABLE recording (
            id TEXT PRIMARY KEY,
            sacrifice_id TEXT NOT NULL REFERENCES sacrifice (id),
            executor_id TEXT NOT NULL,
            camera TEXT NOT NULL,
            boot TEXT NOT NULL,          -- during which it was asked for
            asked_ms INTEGER NOT NULL,   -- by the monotonic clock
            stop_ms INTEGER,             -- when it was told to end
            origin_us INTEGER,           -- when the film begins, by the same clock
            state TEXT NOT NULL CHECK (state IN ('asked', 'running', 'kept', 'empty'))
        ) STRICT;
        CREATE INDEX recording_sacrifice ON recording (sacrifice_id);
        CREATE TRIGGER event_asked AFTER INSERT ON recording BEGIN
            INSERT INTO event (entity, key) VALUES ('recording', NEW.sacrifice_id);
        END;
        CREATE TRIGGER event_recording AFTER UPDATE ON recording BEGIN
            INSERT INTO event (entity, key) VALUES ('recording', NEW.sacrifice_id);
        END;
    """)


@steps()
def intakes(tx: sqlite_utils.Database) -> None:
    """What this box wrote down of animals, and photos of what is in the yard."""
    tx.executescript("""
        CREATE TABLE intake (
            id TEXT PRIMARY KEY,              -- of the animal
            fields TEXT NOT NULL              -- JSON: those that this box wrote and the hub may not have told back
        ) STRICT;
        CREATE INDEX op_animal ON op (key) WHERE entity = 'animal';
        CREATE TABLE photo (
            id TEXT PRIMARY KEY,
            of TEXT NOT NULL,                 -- the record that it shows
            blob_id TEXT NOT NULL REFERENCES blob (id),
            sha256 TEXT NOT NULL,             -- of the file, hex
            size INTEGER NOT NULL,
            media_type TEXT NOT NULL
        ) STRICT;
        CREATE INDEX photo_of ON photo (of);
    """)


@steps()
def news(tx: sqlite_utils.Database) -> None:
    """What the hub has told by other roads than the feed, ahead of it; it goes when the feed has been read so far."""
    tx.executescript("""
        CREATE TABLE news (
            entity TEXT NOT NULL,
            key TEXT NOT NULL,
            cursor INTEGER NOT NULL,
            fields TEXT,              -- JSON; NULL: the record is gone
            PRIMARY KEY (entity, key)
        ) STRICT;
        -- When the newest were issued, by the hub's clock.
        ALTER TABLE link ADD COLUMN news_ms INTEGER NOT NULL DEFAULT 0;
    """)


@steps()
def people(tx: sqlite_utils.Database) -> None:
    """How old the list of people is; see :mod:`edge.people`. Always one row."""
    tx.executescript("""
        CREATE TABLE people (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            told_ms INTEGER NOT NULL,  -- when the hub has spoken last, by its clock; 0: never
            age_ms INTEGER NOT NULL,   -- how long ago that was at the reading below
            wall_ms INTEGER NOT NULL,
            mono_ms INTEGER NOT NULL,
            boot TEXT NOT NULL
        ) STRICT;
        INSERT INTO people SELECT 1, coalesce(contact_hub_ms, 0), 0, coalesce(contact_ms, 0),
            coalesce(contact_mono_ms, 0), coalesce(contact_boot, '') FROM link;
    """)


@steps()
def own(tx: sqlite_utils.Database) -> None:
    """What this box wrote down of animals, hides and meat, for as long as the hub may not have told it back."""
    tx.executescript("""
        CREATE TABLE own (
            entity TEXT NOT NULL,
            id TEXT NOT NULL,
            fields TEXT NOT NULL,             -- JSON
            PRIMARY KEY (entity, id)
        ) STRICT;
        INSERT INTO own SELECT 'animal', id, fields FROM intake;
        DROP VIEW IF EXISTS animal;
        DROP TABLE intake;
        DROP INDEX op_animal;
        CREATE INDEX op_own ON op (entity, key) WHERE entity IN ('animal', 'skin', 'batch');
        CREATE INDEX own_animal ON own (fields ->> 'animal_id') WHERE entity = 'skin';
    """)
