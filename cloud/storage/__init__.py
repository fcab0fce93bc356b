"""Where sealed blobs lie. Whoever reads one needs its key, so a backend need not be trusted with the content."""
