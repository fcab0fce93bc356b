"""What the product speaks of: small immutable records and their allowed transitions."""
