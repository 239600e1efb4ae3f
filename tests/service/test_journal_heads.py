"""Signed heads outside the database show what the chain alone cannot: a cut tail, a chain made anew."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine
from typer.testing import CliRunner

from infra import journal
from infra.clock import Clock
from infra.installation import Installation
from infra.journal import Break, Verification, seal, verify
from infra.settings import Settings
from portal.cli.journal import app
from tests.service.journalling import Heads, meddle, reseal, write


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    return Heads(tmp_path)


def test_a_cut_tail_shows_by_the_heads_alone(engine: Engine, at: datetime, heads: Heads) -> None:
    write(engine, at, 7)
    seal(engine, at=at)
    heads.sign(engine, at)
    meddle(engine, "DELETE FROM journal_seals WHERE seq > 5", "DELETE FROM journal_entries WHERE id > 5")
    assert verify(engine).whole, "the rest of the chain is in order"
    assert verify(engine, heads.read()) == Verification(5, 0, 1, Break("tail_cut", 6, None), None)
    with pytest.raises(journal.HeadBeyondJournal) as refused:
        heads.sign(engine, at)
    assert refused.value.facts["seq"] == 7


def test_a_journal_cut_to_nothing_shows(engine: Engine, at: datetime, heads: Heads) -> None:
    write(engine, at, 2)
    seal(engine, at=at)
    heads.sign(engine, at)
    meddle(engine, "DELETE FROM journal_seals", "DELETE FROM journal_entries")
    assert verify(engine, heads.read()).broken == Break("tail_cut", 1, None)


def test_a_chain_made_anew_differs_from_its_head(engine: Engine, at: datetime, heads: Heads) -> None:
    write(engine, at, 3)
    seal(engine, at=at)
    heads.sign(engine, at)
    write(engine, at, 4, first=4)
    seal(engine, at=at)
    heads.sign(engine, at)
    meddle(engine, "UPDATE journal_entries SET actor = 'person:13' WHERE id = 2")
    reseal(engine, at)
    assert verify(engine).whole
    found = verify(engine, heads.read())
    assert (found.sealed, found.heads, found.broken) == (7, 2, Break("head_mismatch", 3, 3))
    with pytest.raises(journal.HeadBeyondJournal):
        heads.sign(engine, at)


def raise_seq(line: bytes) -> bytes:
    return json.dumps({**json.loads(line), "seq": 9}).encode() + b"\n"


def sign_by_another(line: bytes) -> bytes:
    told = json.loads(line)
    return json.dumps({**told, "signature": Ed25519PrivateKey.generate().sign(line).hex()}).encode() + b"\n"


@pytest.mark.parametrize(
    "forge",
    [
        raise_seq,
        sign_by_another,
        lambda line: b"{}\n",
        lambda line: b"\xff\n",
        lambda line: b"[" * 9000 + b"\n",
    ],
    ids=["seq", "another key", "empty", "bytes", "endless"],
)
def test_a_forged_head_is_named_by_its_line(
    engine: Engine, at: datetime, heads: Heads, forge: Callable[[bytes], bytes]
) -> None:
    for number in (1, 2, 3):
        write(engine, at, 1, first=number)
        seal(engine, at=at)
        heads.sign(engine, at)
    lines = heads.file.read_bytes().splitlines(keepends=True)
    heads.file.write_bytes(lines[0] + forge(lines[1]) + lines[2])
    found = verify(engine, heads.read())
    assert (found.broken, found.forged_head_line) == (None, 2)
    assert not found.whole
    meddle(engine, "UPDATE journal_entries SET actor = 'person:13' WHERE id = 1")
    both = verify(engine, heads.read())
    assert (both.broken, both.forged_head_line) == (Break("changed", 1, 1), 2)


def test_a_head_is_signed_once_and_an_interrupted_line_is_no_break(
    engine: Engine, at: datetime, heads: Heads
) -> None:
    write(engine, at, 2)
    seal(engine, at=at)
    signed = heads.sign(engine, at)
    assert heads.sign(engine, at + timedelta(hours=1)) is None
    assert list(heads.read()) == [signed]
    with heads.file.open("ab") as file:
        file.write(b'{"seq": 3, "dig')
    assert list(heads.read()) == [signed]
    write(engine, at, 1, first=3)
    seal(engine, at=at)
    assert signed is not None
    second = heads.sign(engine, at)
    assert second is not None
    assert (second.seq, second.line) == (3, 2)
    assert list(heads.read()) == [signed, replace(second)]
    assert verify(engine, heads.read()).whole


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "key.pem"
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: journal.make_or_load_key(file), range(4)))
    assert len({key.private_bytes_raw() for key in keys}) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["key.pem", "key.pub.pem"]
    public = journal.load_public_key(journal.public_key_file(file))
    assert public.public_bytes_raw() == keys[0].public_key().public_bytes_raw()
    with pytest.raises(journal.JournalKeyMissing):
        journal.load_public_key(file)
    with pytest.raises(journal.JournalKeyMissing):
        journal.load_public_key(tmp_path / "nowhere.pem")


def test_the_commands(engine: Engine, at: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Installation(Settings(data_dir=tmp_path / "data"), Clock(), engine)
    monkeypatch.setattr("portal.cli.journal.open_local", lambda: here)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")

    def run(*words: str) -> tuple[int, list[str]]:
        result = CliRunner().invoke(app, list(words))
        return result.exit_code, result.output.splitlines()

    write(engine, at, 3)
    assert run("verify") == (
        0,
        ["0 rows sealed, 3 rows not yet sealed, 0 signed heads checked", "The journal is whole"],
    )
    status, said = run("seal")
    assert (status, said[0]) == (0, "3 rows sealed now")
    assert said[1].startswith("Signed: number 3, digest ")
    assert run("seal") == (0, ["0 rows sealed now", "Nothing new to sign"])
    assert run("verify")[1][0] == "3 rows sealed, 0 rows not yet sealed, 1 signed heads checked"
    meddle(engine, "DELETE FROM journal_seals WHERE seq > 2", "DELETE FROM journal_entries WHERE id > 2")
    assert run("verify") == (
        1,
        [
            "2 rows sealed, 0 rows not yet sealed, 1 signed heads checked",
            "First broken row: from number 3 on the tail was cut off; a signed head shows it",
        ],
    )
    (tmp_path / "data" / "journal-heads.ndjson").write_text("{}\n")
    assert run("verify")[0] == 1
    assert run("verify")[1][-1].startswith("Line 1 of the heads file does not bear")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert run("verify")[1][0] == "已封存 2 条，待封存 0 条，已核对签名 1 个"
