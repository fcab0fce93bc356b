"""The protocol between a box and the hub, both ends. No network, no database, no clock: see PROTOCOL.md."""
