"""Trains the detector that ships beside this package; not needed to run it."""
