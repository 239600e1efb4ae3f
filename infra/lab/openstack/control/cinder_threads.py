"""Cinder on native threads: to be imported before anything else of Cinder is."""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)
