"""The process that looks through the cameras of a site and records what it is asked to."""
