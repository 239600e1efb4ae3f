"""What a transactional producer is given at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.broker.driver import NewRecord
from exchange.broker.kafka import writer
from exchange.broker.kafka.writer import chunks


@given(st.lists(st.integers(0, 12), max_size=40))
def test_every_record_goes_once_in_order_and_no_chunk_is_too_large(sizes: list[int]) -> None:
    records = [NewRecord(0, b"", b"x" * size) for size in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "CHUNK", 5)
        patch.setattr(writer, "CHUNK_BYTES", 10)
        found = list(chunks(records))
    assert [record for chunk in found for record in chunk] == records
    for chunk in found:
        assert 1 <= len(chunk) <= 5
        assert len(chunk) == 1 or sum(len(one.value or b"") for one in chunk) <= 10
