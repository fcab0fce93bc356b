"""What certificates are written with."""
