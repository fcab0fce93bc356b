"""Where boxes meet the hub: enrolment, tokens, the exchange of ops and feed, and sealed blobs."""
