"""What every service of the hub stands on: settings, database, outbox, inbox, jobs, keys, health."""
