"""Who acts: a person, a system's service account, or the console of the machine. A value, no decisions."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Actor:
    """One who asks for something, as known at the start of the request.

    `id` is the person's, or the token's for a service. `roles` are (role, bureau id) of a person; `scopes`
    and `datasets` (codes; None: every dataset of its system) are a service's, which acts at `bureau_id`.
    Who signed in with a one-time password has no roles before they replace it.
    """

    kind: Literal["person", "service", "installation"]
    id: int
    name: str
    bureau_id: int | None
    roles: tuple[tuple[str, int], ...] = ()
    scopes: tuple[str, ...] = ()
    datasets: tuple[str, ...] | None = None
    system_id: int | None = None
    must_change_password: bool = False

    @property
    def journal_id(self) -> str:
        """How the journal names it: 'person:12', 'token:3' or 'installation'."""
        if self.kind == "installation":
            return "installation"
        return f"{'person' if self.kind == 'person' else 'token'}:{self.id}"

    def covers_dataset(self, code: str) -> bool:
        """Whether its token was issued for the dataset `code`; people are not narrowed so."""
        return self.datasets is None or code in self.datasets


INSTALLATION = Actor("installation", 0, "installation", None)
"""Whoever holds the machine's console, and the platform's own sweeps: may everything, and is journalled."""

ANONYMOUS = "anonymous"
"""How the journal names one who has not shown who they are."""
