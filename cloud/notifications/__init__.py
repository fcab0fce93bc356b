"""Telling people: what, in which language, and whether it was really sent."""
