"""How far long work has come: bars on a terminal; in a log, which cannot redraw, a line for each tenth."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

TENTHS = 10


class Meter:
    """One count on its way to `total`."""

    def __init__(self, bars: Progress, name: str, total: int) -> None:
        self._bars, self._name, self._total = bars, name, total
        self._bar: TaskID = bars.add_task(name, total=total)
        self._done = 0

    def advance(self) -> None:
        """One more is done."""
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """So many are done."""
        before, self._done = self._done, done
        self._bars.update(self._bar, completed=done)
        if self._bars.disable and self._tenth(done) > self._tenth(before):
            self._bars.console.print(f"{self._name} {done}/{self._total}")

    def _tenth(self, done: int) -> int:
        return TENTHS * done // max(1, self._total)


class Meters:
    """The meters of one piece of work, below each other, while the block runs."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> "Meters":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def add(self, name: str, total: int) -> Meter:
        """A new meter at nought."""
        return Meter(self._bars, name, total)
