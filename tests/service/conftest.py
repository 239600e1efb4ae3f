"""What every test of a use case has: cheap passwords."""

import pytest

from identity import passwords
from tests.hashing import CHEAP


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", CHEAP)
