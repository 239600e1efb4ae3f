"""The faces: REST API, pages and command line."""
