"""Checks: what a box found in a video, and what the hub makes of it."""
