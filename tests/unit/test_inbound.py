"""Where files that came into a folder go: nothing that is not what was published is moved, or overwritten."""

from pathlib import Path

import pytest

from portal.cli import inbound
from portal.cli.inbound import DONE, RECEIPT, mark_of, put_away


def away(path: Path, mark: inbound.Mark | None) -> Path | None:
    assert mark is not None
    return put_away(path, mark, DONE, suffix=RECEIPT, text="r")


def left(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_what_changed_since_it_was_read_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("half")
    mark = mark_of(file)
    file.write_text("half and more")
    assert away(file, mark) is None
    assert left(tmp_path) == {"a.csv": "half and more"}
    assert away(file, mark_of(file)) == tmp_path / "done/a.csv"
    assert left(tmp_path) == {"done/a.csv": "half and more", "done/a.csv.receipt.json": "r"}


@pytest.mark.parametrize("is_there_again", [False, True])
def test_what_was_replaced_in_the_moment_of_the_move_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there_again: bool
) -> None:
    file, newer = tmp_path / "a.csv", tmp_path / "newer"
    file.write_text("old")
    mark = mark_of(file)

    def then_replaced(path: Path) -> inbound.Mark | None:
        found = mark_of(path)
        monkeypatch.setattr(inbound, "mark_of", then_there_again)
        newer.write_text("new")
        newer.replace(file)
        return found

    def then_there_again(path: Path) -> inbound.Mark | None:
        if is_there_again:
            file.write_text("newest")
        return mark_of(path)

    monkeypatch.setattr(inbound, "mark_of", then_replaced)
    assert away(file, mark) is None
    assert sorted(left(tmp_path).values()) == (["new", "newest"] if is_there_again else ["new"])
    assert not list((tmp_path / DONE).iterdir())


def test_nothing_that_was_put_away_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    for content in "ABAA":
        file.write_text(content)
        assert away(file, mark_of(file)) is not None
    names = [name for name in left(tmp_path) if not name.endswith(RECEIPT)]
    assert sorted(left(tmp_path)[name] for name in names) == ["A", "A", "A", "B"]
    assert len(left(tmp_path)) == 8
    assert all(name.endswith(".csv.gz") for name in names)
