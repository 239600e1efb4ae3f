"""Publishes to and pulls from the data exchange of a Siji portal; README.md says how."""

from siji_client.client import Client, Tries
from siji_client.errors import KeyReused, NotAllowed, Refused, SijiError, TooLarge, Unavailable
from siji_client.shapes import Delete, Page, Receipt, Record

__all__ = [
    "Client",
    "Delete",
    "KeyReused",
    "NotAllowed",
    "Page",
    "Receipt",
    "Record",
    "Refused",
    "SijiError",
    "TooLarge",
    "Tries",
    "Unavailable",
]
