"""The laws of quota told once more, without counters, locks or rows: every answer is a sum over what is held.

In one dimension only; None is unlimited. test_quota_laws.py compares the product with it.
"""

from dataclasses import dataclass, field

Bound = int | None
INFINITE = 10**9


def number(bound: Bound) -> int:
    return INFINITE if bound is None else bound


@dataclass
class Held:
    """What one key holds: `amount` now, and what it goes to when settled or reverted while it is resized."""

    bureau: str
    amount: int
    state: str = "claimed"
    settles_to: int | None = None
    reverts_to: int | None = None


@dataclass
class Account:
    limit: Bound = 0
    charged: Bound = 0
    mode: str = "reserved"
    frozen: Bound = None
    is_frozen: bool = False


@dataclass
class Model:
    """The tree as child → parent, accounts by bureau, holdings by key, and what the region can hold."""

    parents: dict[str, str | None]
    capacity: int
    accounts: dict[str, Account] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)

    def chain(self, bureau: str | None) -> list[str]:
        return [] if bureau is None else [bureau, *self.chain(self.parents[bureau])]

    def subtree(self, bureau: str) -> list[str]:
        return [one for one in self.parents if bureau in self.chain(one)]

    def children(self, bureau: str) -> list[str]:
        return [one for one, parent in self.parents.items() if parent == bureau and one in self.accounts]

    def used(self, bureau: str) -> int:
        return sum(one.amount for one in self.held.values() if one.bureau == bureau)

    def used_below(self, bureau: str) -> int:
        return sum(self.used(one) for one in self.subtree(bureau))

    def carved(self, bureau: str) -> int:
        return sum(number(self.accounts[one].charged) for one in self.children(bureau))

    def taken(self, bureau: str) -> int:
        """What a grant may not fall below."""
        if self.accounts[bureau].mode == "reserved":
            return self.used(bureau) + self.carved(bureau)
        ceilings = [number(self.accounts[one].limit) for one in self.children(bureau)]
        return max([self.used_below(bureau), *ceilings])

    def effective(self, bureau: str) -> int:
        account = self.accounts[bureau]
        return min(number(account.limit), number(account.frozen) if account.is_frozen else INFINITE)

    def is_pooled(self, bureau: str) -> bool:
        account = self.accounts.get(bureau)
        return account is not None and (account.mode == "shared" or account.is_frozen)

    def short_of(self, bureau: str, asked: int) -> set[str]:
        """The bureaus that a growth of `asked` at `bureau` is refused for."""
        if asked <= 0:
            return set()
        short = {
            one
            for one in self.chain(bureau)
            if self.is_pooled(one) and self.used_below(one) + asked > self.effective(one)
        }
        account = self.accounts.get(bureau)
        if account is None or (
            account.mode == "reserved"
            and self.used(bureau) + self.carved(bureau) + asked > number(account.limit)
        ):
            short.add(bureau)
        return short

    def short_of_grant(self, bureau: str, limit: Bound) -> set[str]:
        """The bureaus that making `limit` the grant of `bureau` is refused for."""
        account, parent = self.accounts.get(bureau, Account()), self.parents[bureau]
        short = set()
        if (
            number(limit) < number(account.limit)
            and not account.is_frozen
            and number(limit) < self.taken(bureau)
        ):
            short.add(bureau)
        if number(limit) > number(account.limit):
            if parent is None:
                short |= {bureau} if number(limit) > self.capacity else set()
            else:
                others = 0 if bureau not in self.accounts else number(account.charged)
                room = self._room_for(parent, others)
                short |= {parent} if number(limit) > room else set()
        return short

    def short_of_move(self, bureau: str, to: str) -> set[str]:
        """The bureaus that moving `bureau` below `to` is refused for."""
        account = self.accounts.get(bureau)
        if account is None:
            return set()
        usage, leaving = self.used_below(bureau), self.chain(self.parents[bureau])
        short = {
            one
            for one in self.chain(to)
            if one not in leaving
            and self.is_pooled(one)
            and usage > 0
            and self.used_below(one) + usage > self.effective(one)
        }
        into = self.accounts.get(to)
        asked = account.limit if into is not None and into.mode == "shared" else account.charged
        if number(asked) > 0 and number(asked) > self._room_for(to, 0):
            short.add(to)
        return short

    def _room_for(self, parent: str, others: int) -> int:
        account = self.accounts.get(parent)
        if account is None:
            return 0
        if account.mode == "shared" or account.limit is None:
            return number(account.limit)
        return account.limit - self.used(parent) - (self.carved(parent) - others)

    def recharge(self, bureau: str) -> None:
        """What a reserved parent carves out: the limit; of a frozen one never less than what is held under
        it.
        """
        account = self.accounts[bureau]
        account.charged = account.limit
        if account.is_frozen:
            kept = self.used_below(bureau)
            if account.mode == "reserved":
                kept = self.used(bureau) + self.carved(bureau)
            charged = max(number(account.limit), kept)
            account.charged = None if charged >= INFINITE else charged

    def broken_laws(self) -> list[str]:
        """Law 1 and what keeps it: at every bureau that is not frozen, usage and carved grants within the
        grant.
        """
        broken = []
        for bureau in self.parents:
            account = self.accounts.get(bureau, Account())
            if account.is_frozen:
                continue
            if self.used_below(bureau) > number(account.limit):
                broken.append(f"{bureau} uses {self.used_below(bureau)} of {account.limit}")
            if bureau in self.accounts and self.taken(bureau) > number(account.limit):
                broken.append(f"{bureau} gave away {self.taken(bureau)} of {account.limit}")
        return broken
