"""What pages are looked through for."""

from __future__ import annotations

import re

OF_ITS_OWN = re.compile(r'<script(?! type="module" src="/)|<style|\sstyle=|\son\w+=|https?://')
"""A script or style that stands in a page itself, or something of another host."""
