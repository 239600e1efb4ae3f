"""Cells of a table carry the headings of their columns, whatever the rows are made of."""

from portal.labels import labelled

HEADINGS = ["名称", "#台数", "A & B", ""]


def test_every_cell_has_its_own_heading() -> None:
    rows = (
        '<tr>\n<th scope="row">甲</th><td class="number">3</td><td>x</td><td></td></tr><tr><td>乙</td></tr>'
    )
    assert labelled(rows, HEADINGS) == (
        '<tr>\n<th scope="row" data-label="名称">甲</th><td class="number" data-label="台数">3</td>'
        '<td data-label="A &amp; B">x</td><td data-label=""></td></tr><tr><td data-label="名称">乙</td></tr>'
    )


def test_a_cell_over_several_columns_has_none_and_the_next_one_its_own() -> None:
    assert labelled('<tr><td colspan="2">无</td><td>x</td></tr>', HEADINGS) == (
        '<tr><td colspan="2" data-label="">无</td><td data-label="A &amp; B">x</td></tr>'
    )


def test_a_cell_beyond_the_headings_has_none() -> None:
    assert labelled("<tr><td>1</td><td>2</td></tr>", ["乙"]) == (
        '<tr><td data-label="乙">1</td><td data-label="">2</td></tr>'
    )
