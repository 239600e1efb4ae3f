"""A lab of the test's own: the suite shares the checkout's, which no test may end."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.lab import engines


@pytest.fixture
def lab() -> Iterator[Path]:
    """A state folder that unprivileged servers can reach (pytest's are closed); all ends after the test."""
    folder = Path(tempfile.mkdtemp(prefix="siji-lab-test-"))
    folder.chmod(0o755)
    yield folder
    engines.down(state=folder)
    shutil.rmtree(folder)
