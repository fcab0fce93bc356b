"""The box at a site: records, checks and keeps sacrifices with the cable out, and syncs when there is a link."""

from edge import sqlite

sqlite.choose()
