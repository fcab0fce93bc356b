"""The models that look and listen: what they are, where they lie, and how they are loaded."""
