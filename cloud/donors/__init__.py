"""Donors, their orders, the shares in them, and what was paid."""
