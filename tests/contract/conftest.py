"""Fixtures of the cloud contract: each cloud in turn, with a project in its large and its small region."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.cloud_bench import (
    Bench,
    bench_in,
)
from tests.contract.clouds import CLOUDS, Subject


@pytest.fixture(params=sorted(CLOUDS))
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each cloud in turn."""
    with CLOUDS[request.param](tmp_path) as found:
        yield found


@pytest.fixture
def bench(subject: Subject) -> Bench:
    """A project without limits in the large region."""
    return bench_in(subject, subject.cloud)


@pytest.fixture
def small(subject: Subject) -> Bench:
    """A project without limits in the small region."""
    return bench_in(subject, subject.small)
