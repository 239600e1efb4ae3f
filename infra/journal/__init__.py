"""The journal of every act: append-only rows (entries), their chain (chain), its signed heads (heads)."""

from infra.journal.chain import Break, Verification, Why, seal, verify
from infra.journal.entries import JournalEntry, JournalSeal, UnsealedEntry, append
from infra.journal.heads import (
    HEADS_FILE,
    JOURNAL,
    KEY_FILE,
    Chain,
    Head,
    HeadBeyondJournal,
    HeadWhy,
    JournalKeyMissing,
    compare_heads,
    load_public_key,
    make_or_load_key,
    parse_head,
    public_key_file,
    read_heads,
    read_own_heads,
    sign_head,
)
from infra.journal.queries import Wanted
from infra.journal.reading import read_entries

__all__ = [
    "HEADS_FILE",
    "JOURNAL",
    "KEY_FILE",
    "Break",
    "Chain",
    "Head",
    "HeadBeyondJournal",
    "HeadWhy",
    "JournalEntry",
    "JournalKeyMissing",
    "JournalSeal",
    "UnsealedEntry",
    "Verification",
    "Wanted",
    "Why",
    "append",
    "compare_heads",
    "load_public_key",
    "make_or_load_key",
    "parse_head",
    "public_key_file",
    "read_entries",
    "read_heads",
    "read_own_heads",
    "seal",
    "sign_head",
    "verify",
]
