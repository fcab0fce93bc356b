"""What people's pages hear of while it happens."""
