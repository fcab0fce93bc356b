"""The production code of box and hub as the machines of a simulated world, on SQLite in memory."""
