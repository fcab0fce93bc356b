"""What the hub knows of a person: handing it out, and forgetting it."""
