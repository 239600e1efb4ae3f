"""Use cases of identity/, one file per noun."""
