"""The capacity report: every figure beside an independent recount, bounds, parts, exports and the command."""

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from typer import Typer
from typer.testing import CliRunner

from infra.database import open_database, transaction
from infra.migrations.run import upgrade
from infra.settings import Settings
from metrics.capacity import SHOWN_DIMENSIONS, Breakdown
from metrics.export import as_csv, as_table, as_xlsx, narrowest, neutralise
from metrics.notes import ILLUSTRATIVE, notes_of
from portal.cli.report import report as report_command
from provisioning.quota import Inventory, Limits, Resources
from provisioning.service.claims import claim
from provisioning.service.grants import freeze, grant_quota, set_root_grant
from provisioning.service.regions import open_region, record_inventory
from tests.factories import make_bureau, make_region, make_system
from tests.service.fleet import (
    ACTOR,
    BREAKDOWNS,
    ODD_NAMES,
    as_figures,
    build_fleet,
    read_report,
    recounted,
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_figure_equals_a_recount_in_sql(
    database: Engine, sqlite_database: Engine, seed: int, at: datetime
) -> None:
    build_fleet(database, seed=seed, at=at)
    build_fleet(sqlite_database, seed=seed, at=at)
    for by in BREAKDOWNS:
        report = read_report(database, by)
        assert as_figures(report) == recounted(database, by)
        assert report["used"].sum() > report["in_flight"].sum() > 0
        pd.testing.assert_frame_equal(read_report(sqlite_database, by), report)


def test_every_row_adds_up_as_the_notes_say(database: Engine, at: datetime) -> None:
    build_fleet(database, seed=2, at=at)
    views: tuple[Breakdown, ...] = ("level", "bureau")
    for by in views:
        report = read_report(database, by)
        assert report["below"].sum() > 0
        left = report["granted"] - report["used"] - report["below"]
        pd.testing.assert_series_equal(report["headroom"], left, check_names=False)
        assert "Headroom = granted − used − held below" in " ".join(notes_of(report, by=by, language="en"))


def test_a_region_shows_the_ratio_between_its_inventory_and_its_capacity(
    database: Engine, at: datetime
) -> None:
    held = [("vcpus", "p1", 2048, 64, 4.0), ("ram_mib", "p1", 100, 0, 1.0), ("ram_mib", "p2", 300, 0, 1.5)]
    with transaction(database) as session:
        open_region(session, name="baoding", at=at, actor=ACTOR)
        record_inventory(session, region="baoding", inventories=[Inventory(*one) for one in held], at=at)
    report = read_report(database, "region")
    figures = as_figures(report)
    vcpus, ram = figures["baoding", "vcpus"], figures["baoding", "ram_mib"]
    assert (vcpus["total"], vcpus["reserved"], vcpus["ratio"], vcpus["capacity"]) == (2048, 64, 4.0, 7936)
    assert (ram["ratio"], ram["capacity"]) == (1.38, 550)
    assert figures["baoding", "storage"]["ratio"] is None
    lines = list(csv.DictReader(io.StringIO(as_csv(report, language="zh").decode("utf-8-sig"))))
    assert [line["超配比"] for line in lines][:3] == ["不适用", "4.0", "1.38"]


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_what_the_figures_mean_stands_below_the_table_and_on_a_second_sheet(
    database: Engine, by: Breakdown, at: datetime
) -> None:
    build_fleet(database, seed=1, at=at)
    report = read_report(database, by)
    notes = notes_of(report, by=by, language="zh")
    assert notes
    book = load_workbook(io.BytesIO(as_xlsx(report, by=by, language="zh")))
    assert [row[0].value for row in book["说明"].iter_rows()] == notes
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(as_table(report, by=by, language="zh"))
    shown = "".join(console.export_text().split())
    assert all("".join(note.split()) in shown for note in notes)


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_in_the_sample_city_alone_every_form_says_that_the_split_is_illustrative(
    database: Engine, by: Breakdown, at: datetime
) -> None:
    build_fleet(database, seed=1, at=at)
    report = read_report(database, by)
    for sample in (True, False):
        lines = as_csv(report, language="zh", sample=sample).decode("utf-8-sig").splitlines()
        book = load_workbook(io.BytesIO(as_xlsx(report, by=by, language="zh", sample=sample)))
        *_, last = book.worksheets[0].iter_rows(values_only=True)
        console = Console(width=300, record=True, file=io.StringIO())
        console.print(as_table(report, by=by, language="en", sample=sample))
        told = (
            len({len(line) for line in csv.reader(lines)}) == 1 and next(csv.reader(lines[-1:]))[0],
            last[0],
            book["说明"]["A1"].value,
        )
        assert [one == ILLUSTRATIVE[0] for one in told] == [sample] * 3
        assert ("is illustrative" in console.export_text()) is sample


def test_short_texts_do_not_wrap_in_the_terminal_and_a_lone_region_has_no_column(
    database: Engine, at: datetime
) -> None:
    with transaction(database) as session:
        make_region(session)
        city = make_bureau(session, code="1", name="很长的名称" * 6)
        common: dict[str, Any] = {"region": "baoding", "at": at, "actor": ACTOR}
        set_root_grant(session, bureau_id=city.id, limit=Limits.of(vcpus=7), **common)
        county = make_bureau(session, parent=city, code="2", name="另一个名称" * 6)
        town = make_bureau(session, parent=county, code="3", name="再一个名称" * 6)
        for unit in (county, town):
            grant_quota(session, bureau_id=unit.id, limit=Limits.of(vcpus=7), **common)
    shown = in_a_terminal(as_table(read_report(database, "bureau"), by="bureau", language="zh"))
    assert "baoding" not in shown
    assert shown.count("乡镇") == len(SHOWN_DIMENSIONS)
    shown = in_a_terminal(as_table(read_report(database, "region"), by="region", language="zh"))
    assert ("baoding" in shown, "可分配容量" in shown, shown.count("10,000")) == (True, True, 15)


def in_a_terminal(table: Table) -> str:
    """What a terminal shows that is as narrow as the table allows."""
    console = Console(width=narrowest(table), record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_an_empty_region_has_zeros_where_it_is_bounded(database: Engine, at: datetime) -> None:
    with transaction(database) as session:
        open_region(session, name="bare", at=at, actor=ACTOR)
    for by in ("bureau", "system"):
        assert read_report(database, by).empty
    figures = as_figures(read_report(database, "region"))
    assert list(figures) == [("bare", dimension) for dimension in SHOWN_DIMENSIONS]
    zero = {"granted": 0, "used": 0, "in_flight": 0}
    for (_, dimension), found in figures.items():
        bound = None if dimension in ("servers", "volumes") else 0
        nothing_told = {"total": None, "reserved": None, "ratio": None}
        assert found == {**nothing_told, **zero, "capacity": bound, "headroom": bound}
    assert figures == recounted(database, "region")
    assert as_figures(read_report(database, "level")) == recounted(database, "level")


def test_no_region_at_all_is_an_empty_report_with_its_headings(database: Engine) -> None:
    for by in BREAKDOWNS:
        report = read_report(database, by)
        assert report.empty
        assert as_csv(report, language="en").decode("utf-8-sig").count("\r\n") == 1
        assert as_xlsx(report, by=by, language="zh")


def test_unlimited_is_shown_as_such_and_is_not_zero(database: Engine, at: datetime) -> None:
    with transaction(database) as session:
        make_region(session)
        city = make_bureau(session, code="1")
        set_root_grant(
            session,
            region="baoding",
            bureau_id=city.id,
            limit=Limits.of(servers=None, vcpus=7, volume_gib=None, root_gib=5),
            at=at,
            actor=ACTOR,
            overcommit=True,
            reason="演示",
        )
    report = read_report(database, "bureau")
    granted = {key[-1]: figures["granted"] for key, figures in as_figures(report).items()}
    assert granted["servers"] is None
    assert granted["vcpus"] == 7
    assert granted["ram_mib"] == 0
    assert granted["storage"] is None
    lines = list(csv.DictReader(io.StringIO(as_csv(report, language="en").decode("utf-8-sig"))))
    assert [line["Granted"] for line in lines] == [
        "unlimited", "7", "0", "5", "unlimited", "0", "0", "unlimited",
    ]  # fmt: skip
    assert [line["Headroom"] for line in lines][:3] == ["unlimited", "7", "0"]


def test_an_excess_after_a_freeze_is_a_headroom_below_zero(database: Engine, at: datetime) -> None:
    common: dict[str, Any] = {"region": "baoding", "at": at, "actor": ACTOR}
    with transaction(database) as session:
        make_region(session)
        city = make_bureau(session)
        common_city = {"bureau_id": city.id, **common}
        set_root_grant(session, limit=Limits.of(vcpus=10), **common_city)
        system = make_system(session, city)
        claim(session, system_id=system.id, key="k", amounts=Resources.of(vcpus=8), **common_city)
        freeze(session, limit=Limits.of(vcpus=3), reason="整改", **common_city)
    for by in ("bureau", "level"):
        vcpus = read_report(database, by).query("dimension == 'vcpus'").iloc[0]
        assert (vcpus["granted"], vcpus["used"], vcpus["headroom"]) == (10, 8, -5)


def test_amounts_above_what_a_float_holds_are_exact(database: Engine, at: datetime) -> None:
    odd = 2**53 + 1
    with transaction(database) as session:
        make_region(session, holds=Limits.of(vcpus=odd + 2))
        city = make_bureau(session)
        common: dict[str, Any] = {"region": "baoding", "bureau_id": city.id, "at": at, "actor": ACTOR}
        set_root_grant(session, limit=Limits.of(vcpus=odd + 2, servers=None), **common)
        system = make_system(session, city)
        claim(session, system_id=system.id, key="k", amounts=Resources.of(vcpus=odd), **common)
    figures = as_figures(read_report(database, "region"))["baoding", "vcpus"]
    assert (figures["capacity"], figures["used"], figures["headroom"]) == (odd + 2, odd, 2)
    assert f",{odd}," in as_csv(read_report(database, "bureau"), language="en").decode("utf-8-sig")


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r"])
def test_what_begins_a_formula_is_neutralised(beginning: str) -> None:
    assert neutralise(f"{beginning}1") == f"'{beginning}1"
    assert neutralise(f"1{beginning}") == f"1{beginning}"


def test_names_of_strangers_are_text_in_every_export(database: Engine, at: datetime) -> None:
    with transaction(database) as session:
        make_region(session)
        for number, name in enumerate(ODD_NAMES):
            city = make_bureau(session, code=f"{number}", name=name)
            set_root_grant(
                session, region="baoding", bureau_id=city.id, limit=Limits.of(vcpus=1), at=at, actor=ACTOR
            )
    report = read_report(database, "bureau")
    expected = [
        "'=cmd|' /C calc'!A0", "𠮷野局", "'+86", "'-1", "'@SUM(A1)", "�制表", "[red]局[/red]", '引"号,��行',
    ]  # fmt: skip
    raw = as_csv(report, language="zh")
    assert raw.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert [line["单位"] for line in lines][:: len(SHOWN_DIMENSIONS)] == expected
    sheet = load_workbook(io.BytesIO(as_xlsx(report, by="bureau", language="zh"))).worksheets[0]
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert [row[3].value for row in sheet.iter_rows(min_row=2)][:: len(SHOWN_DIMENSIONS)] == expected
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(as_table(report, by="bureau", language="zh"))
    shown = console.export_text()
    assert "[red]局[/red]" in shown
    assert "=cmd" in shown


@pytest.mark.parametrize(("locale", "heading"), [("zh_CN.UTF-8", "可分配容量"), ("en_GB.UTF-8", "Capacity")])
def test_the_command_shows_and_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: datetime, locale: str, heading: str
) -> None:
    monkeypatch.setenv("SIJI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LC_ALL", locale)
    (tmp_path / "data").mkdir()
    engine = open_database(Settings().records_url)
    upgrade(engine)
    with transaction(engine) as session:
        make_region(session)
    engine.dispose()
    app = Typer()
    app.command()(report_command)
    shown = CliRunner().invoke(app, [])
    assert shown.exit_code == 0, shown.output
    assert heading in shown.output
    assert "10,000" in shown.output
    files = ["--csv", str(tmp_path / "r.csv"), "--xlsx", str(tmp_path / "r.xlsx"), "--by", "level"]
    written = CliRunner().invoke(app, files)
    assert written.exit_code == 0, written.output
    assert len((tmp_path / "r.csv").read_text("utf-8-sig").splitlines()) == 1 + 4 * len(SHOWN_DIMENSIONS)
    assert load_workbook(tmp_path / "r.xlsx").worksheets[0].max_row == 1 + 4 * len(SHOWN_DIMENSIONS)
