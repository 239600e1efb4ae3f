"""What a run of the sample city leaves as it is, since people changed it and a step of it is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

from infra.errors import Kind, Language, SijiError

Told = tuple[str, str]


class Aside(dict[str, Told]):
    """By what was left aside (a system's code, a login): why, in Chinese and in English."""

    @contextmanager
    def unless_refused(self, what: str) -> Iterator[None]:
        """A refusal within is written down and ends the block; that others hold the records is none."""
        try:
            yield
        except SijiError as refusal:
            if refusal.kind is Kind.unavailable:
                raise
            self.setdefault(what, (refusal.message("zh"), refusal.message("en")))

    def told(self, language: Language) -> list[str]:
        """A line for each."""
        zh = language == "zh"
        return [f"{what}：{why[0]}" if zh else f"{what}: {why[1]}" for what, why in self.items()]
