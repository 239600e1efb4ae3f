"""Use cases of the exchange, by noun."""
