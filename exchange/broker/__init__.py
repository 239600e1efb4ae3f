"""The log that shared datasets live in: a Protocol, its implementations, and the choice between them."""
