"""How a call reaches the simulated region: in a step of its own, meeting the failures set for it.

What the calls are is in `driver`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from provisioning.cloud.simulated.faults import Injected, take, take_page_failure
from provisioning.cloud.simulated.step import Step, is_due, settle, to_us, unanswered
from provisioning.cloud.simulated.store import SimulatedStore

PAGE_SIZE = 100

Page = Callable[[Step, str | None, int, int], list[sqlite3.Row]]


class Calls:
    """One region as its callers reach it."""

    def __init__(
        self,
        store: SimulatedStore,
        *,
        region: str,
        now: Callable[[], datetime],
        latency_s: float = 0.0,
        page_size: int = PAGE_SIZE,
    ) -> None:
        """What a call starts is finished `latency_s` after it by `now` (aware); 0: at the next call."""
        self._store = store
        self._region = region
        self._now = now
        self._latency_s = latency_s
        self._page_size = page_size

    @property
    def region(self) -> str:
        """Name of the region."""
        return self._region

    def _paged(self, call: str, page: Page, project_id: str | None) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = []
        marker = 0
        while True:
            if rows and take_page_failure(self._store, call):
                raise unanswered(self._region, call, "列表的第 2 页读取失败", "page 2 of the listing failed")
            with self._reading(call) as step:
                found = page(step, project_id, marker, self._page_size)
            rows += found
            if len(found) < self._page_size:
                return rows
            marker = found[-1]["seq"]

    @contextmanager
    def _writing(self, call: str) -> Iterator[Step]:
        met = self._meet(call)
        with self._reached(call), self._store.writing() as db:
            step = self._step(db, call, met)
            settle(db, step.at_us)
            yield step
        self._answer(call, met)

    @contextmanager
    def _reading(self, call: str) -> Iterator[Step]:
        met = self._meet(call)
        with self._reached(call):
            at_us = to_us(self._now())
            with self._store.reading() as db:
                due = is_due(db, at_us)
            if due:
                with self._store.writing() as db:
                    settle(db, at_us)
            with self._store.reading() as db:
                yield self._step(db, call, met)
        self._answer(call, met)

    def _meet(self, call: str) -> Injected:
        with self._reached(call):
            met = take(self._store, call)
        if met.down:
            raise unanswered(
                self._region, call, "云平台接口无响应（503）", "the cloud's API does not answer (503)"
            )
        if met.refused:
            with self._store.reading() as db:
                raise self._step(db, call, met).refused(
                    "云平台策略不允许（403）", "the cloud's policy forbids it (403)"
                )
        return met

    def _answer(self, call: str, met: Injected) -> None:
        if met.timed_out_but_done:
            raise unanswered(
                self._region, call, "等待应答超时（504）", "the answer did not come in time (504)"
            )

    def _step(self, db: sqlite3.Connection, call: str, met: Injected) -> Step:
        at_us = to_us(self._now())
        ready_us = at_us + round((self._latency_s + met.late_s) * 1_000_000)
        return Step(
            db=db, region=self._region, call=call, at_us=at_us, ready_us=ready_us, doomed=met.ends_in_error
        )

    @contextmanager
    def _reached(self, call: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise unanswered(
                self._region, call, f"模拟区域的存储不可用（{error}）", f"its store failed ({error})"
            ) from error
