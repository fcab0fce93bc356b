"""Boxes, a hub and bad luck, in one process, on a clock of its own, from one seed.

A seed becomes a tape (:mod:`.tape`): everything that will happen, and when. A world (:mod:`.world`) plays the tape
against the production code, which the caller hands in (:mod:`.ports`), and checks it (:mod:`.checks`). The same tape
gives the same trace, always; so a tape that fails can be shortened (:mod:`.shrink`) and kept.
"""
