"""Adoption of a cloud in use: the proposal for review, its import, what is refused, a second run."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import Engine, func, select

from identity.models import Bureau, System
from infra.clock import city_date
from infra.database import reading, transaction
from infra.journal.entries import JournalEntry
from provisioning.errors import AdoptionFileUnreadable, AdoptionRefused, CapacityExceeded, NotAnOperator
from provisioning.models import Lease, Request, Server
from provisioning.quota import Limits
from provisioning.service.adoption_book import write_book
from provisioning.service.adoption_import import AdoptionReport, import_adoption, settle_adoptions
from provisioning.service.adoption_proposal import propose
from provisioning.service.asking import LineAsked
from provisioning.service.recount import recount
from tests.yard import FLAVOR, IMAGE, Yard, make_spring_yard


class Old:
    """A cloud that was in use: the town's project by its code, the provider's by its name, one of nobody."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.town = yard.region.make_project(name="old-town", description="镇 H-1-1 的业务")
        self.provider = yard.region.make_project(name="old-p", description="提供数据的委办局")
        self.nobodys = yard.region.make_project(name="admin")
        with transaction(yard.engine) as session:
            session.get_one(Bureau, yard.hall.provider).name = "提供数据的委办局"
        self.ids = {
            name: self._build(project, name)
            for project, name in (
                (self.town, "oa-web-01"),
                (self.town, "oa-db-01"),
                (self.provider, "=cmd"),
                (self.nobodys, "who"),
            )
        }
        yard.region.take_tags_off()

    def _build(self, project: str, name: str) -> str:
        cloud = self.yard.cloud
        cloud.set_quota(project, Limits.unlimited())
        server_id = cloud.create_server(
            tag="x", project_id=project, name=name, flavor=FLAVOR, image=IMAGE, zone="extranet"
        )
        volume = cloud.create_volume(tag="x", project_id=project, name=f"{name}-d", size_gib=50)
        cloud.attach_volume(volume, server=cloud.get_server(server_id))
        self.yard.region.take_tags_off()
        return server_id

    def write(self) -> bytes:
        found = propose(self.yard.engine, self.yard.cloud, on=city_date(self.yard.at), margin_percent=20)
        return write_book(found.servers, found.grants)

    def read(self, raw: bytes, **wishes: Any) -> AdoptionReport:
        act: dict[str, Any] = {"login": "operator-1", "at": self.yard.at, "actor": "system:installation"}
        return import_adoption(self.yard.engine, self.yard.cloud, raw=raw, **(act | wishes))

    def settle(self) -> int:
        return settle_adoptions(
            self.yard.engine, self.yard.cloud, now=lambda: self.yard.at, done=lambda: None
        )


@pytest.fixture(params=["database", "sqlite_database"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    engine: Engine = request.getfixturevalue(request.param)
    return Old(make_spring_yard(engine, tmp_path))


def edited(raw: bytes, row: str | None = None, **cells: object) -> bytes:
    """The workbook with cells changed in the servers' row whose name is `row`."""
    book = load_workbook(BytesIO(raw))
    sheet = book.worksheets[0]
    keys = [str(cell.value).split()[0] for cell in sheet[1]]
    for line in sheet.iter_rows(min_row=2):
        if line[keys.index("name")].value == row:
            for key, value in cells.items():
                line[keys.index(key)].value = value
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def rows(raw: bytes) -> dict[str, dict[str, Any]]:
    sheet = load_workbook(BytesIO(raw)).worksheets[0]
    first, *others = sheet.iter_rows(values_only=True)
    keys = [str(one).split()[0] for one in first]
    found = [dict(zip(keys, one, strict=True)) for one in others]
    return {str(one["name"]): one for one in found}


def grants(raw: bytes) -> dict[tuple[str, str], Any]:
    sheet = load_workbook(BytesIO(raw)).worksheets[1]
    _, *others = sheet.iter_rows(values_only=True)
    return {(str(one[0]), str(one[2])): one[-1] for one in others}


def problems(old: Old, raw: bytes) -> list[str]:
    with pytest.raises(AdoptionRefused) as refused:
        old.read(raw)
    with reading(old.yard.engine) as session:
        assert session.scalar(select(func.count(Server.id))) == 0
    told = refused.value.facts["problems"]
    assert len(told) == refused.value.facts["total"]
    assert all(one["zh"] and one["en"] for one in told)
    return [one["en"] for one in told]


def test_the_proposal_names_bureaus_systems_and_grants(old: Old) -> None:
    raw = old.write()
    found = rows(raw)
    assert {name: one["bureau"] for name, one in found.items()} == {
        "oa-web-01": "H-1-1",
        "oa-db-01": "H-1-1",
        "=cmd": "H-P",
        "who": None,
    }
    assert found["oa-web-01"]["system"] == found["oa-db-01"]["system"] == "H-1-1-oa"
    assert found["=cmd"]["system"] == "H-P-old-p"
    assert (found["who"]["why"] or "").endswith("its name, words and tag tell of no bureau")
    assert (found["oa-db-01"]["volumes"], found["oa-db-01"]["volume_gib"]) == (1, 50)
    assert grants(raw)["H-P", "vcpus"] == 3
    assert grants(raw)["H-P", "ram_mib"] == 5120
    assert grants(raw)["H-1-1", "vcpus"] == 2000


def test_the_import_makes_the_records_equal_the_cloud_and_once_more_changes_nothing(old: Old) -> None:
    yard, raw = old.yard, old.write()
    rehearsed = old.read(raw, rehearse=True)
    assert (rehearsed.servers, rehearsed.systems) == (3, ("H-1-1-oa", "H-P-old-p"))
    with reading(yard.engine) as session:
        assert session.scalar(select(func.count(Server.id))) == 0
    report = old.read(raw)
    assert (report.servers, report.volumes, report.known, report.left) == (3, 3, 0, ("who",))
    assert [one.code for one in report.grants] == ["H-P"]
    assert report.digest == rehearsed.digest
    assert old.settle() == 0
    with reading(yard.engine) as session:
        servers = {one.name: one for one in session.scalars(select(Server))}
        assert set(session.scalars(select(Request.state))) == {"active"}
        assert set(session.scalars(select(Request.case_id))) == {None}
        assert set(session.scalars(select(Lease.end_on))) == {city_date(yard.at) + timedelta(days=365)}
        assert recount(session) == []
        acts = session.scalars(select(JournalEntry.after).where(JournalEntry.act == "request.import")).all()
        assert {one["file_sm3"] for one in acts if one} == {report.digest}
    assert {name: one.state for name, one in servers.items()} == dict.fromkeys(servers, "active")
    tags = {one.id: one.tag for one in yard.cloud.list_servers()}
    assert {tags[one.cloud_id or ""] for one in servers.values()} == {one.tag for one in servers.values()}
    assert tags[old.ids["who"]] is None
    assert yard.project_of(yard.hall.town) == old.town
    assert yard.project_of(yard.hall.provider) == old.provider
    again = old.read(raw)
    assert again.is_noop
    assert again.known == 3
    with reading(yard.engine) as session:
        assert session.scalar(select(func.count(Request.id))) == 2


def test_what_was_killed_before_the_cloud_was_told_is_completed_by_another_run(old: Old) -> None:
    raw = old.write()
    old.read(raw)
    assert all(server.tag is None for server in old.yard.cloud.list_servers())
    assert old.read(raw).is_noop
    assert old.settle() == 0
    assert sum(server.tag is not None for server in old.yard.cloud.list_servers()) == 3


def test_grants_beyond_the_regions_capacity_are_refused_whole(old: Old) -> None:
    book = load_workbook(BytesIO(old.write()))
    for line in book.worksheets[1].iter_rows(min_row=2):
        if line[0].value == "H-P" and line[2].value in ("vcpus", "root_gib"):
            line[-1].value = 10_000_000
    out = BytesIO()
    book.save(out)
    with pytest.raises(CapacityExceeded) as refused:
        old.read(out.getvalue())
    assert {one["dimension"] for one in refused.value.facts["shortfalls"]} == {"vcpus", "root_gib"}
    with reading(old.yard.engine) as session:
        assert session.scalar(select(func.count(Server.id))) == 0
        assert session.scalar(select(func.count(System.id))) == 1


def test_only_an_operator_imports(old: Old) -> None:
    with pytest.raises(NotAnOperator):
        old.read(old.write(), login="applicant")
    with pytest.raises(NotAnOperator):
        old.read(old.write(), login="nobody")


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"bureau": "H-X"}, "there is no bureau H-X"),
        ({"bureau": "Ｈ-1-1"}, "write “H-1-1”"),
        ({"bureau": 5}, "there is no bureau 5"),
        ({"bureau": True}, "no text"),
        ({"bureau": "=A1"}, "formula"),
        ({"system": "SYS-1"}, "another bureau's"),
        ({"system": "a b"}, "Code “a b”"),
        ({"system_name": None}, "it is empty"),
        ({"mlps_grade": 4}, "whole number of 1 to 3"),
        ({"mlps_grade": "two"}, "whole number of 1 to 3"),
        ({"zone": "dmz"}, "none of internet, extranet"),
        ({"zone": "internet"}, "the server is in zone extranet"),
        ({"end_on": "soon"}, "no date"),
        ({"end_on": "2020-01-01"}, "is past"),
        ({"vcpus": 64}, "the file has 64, the cloud 2 now"),
        ({"volume_gib": 1}, "the file has 1, the cloud 50 now"),
        ({"ram_mib": 2.5}, "whole number"),
        ({"cloud_id": None}, "it is empty"),
        ({"cloud_id": "../x"}, "no id of a server"),
        ({"cloud_id": "00000000-0000-4000-8000-000000000000"}, "not in the cloud of region yard"),
    ],
)
def test_what_people_write_wrong_is_told_by_row_and_column(
    old: Old, cells: dict[str, object], told: str
) -> None:
    [first, *_] = problems(old, edited(old.write(), "=cmd", **cells))
    assert told in first
    assert first.startswith("Sheet Servers, row ")
    assert next(iter(cells)) in first


def test_all_faults_are_told_together(old: Old) -> None:
    raw = edited(old.write(), "=cmd", bureau="H-X", end_on="2020-01-01")
    raw = edited(raw, "oa-web-01", system_name="别名", cloud_id=old.ids["oa-db-01"])
    told = problems(old, raw)
    assert len(told) >= 2
    raw = edited(old.write(), "=cmd", bureau="H-X", end_on="2020-01-01")
    assert len(problems(old, edited(raw, "oa-web-01", vcpus=9))) == 3


def test_what_changed_since_is_told(old: Old) -> None:
    raw, yard = old.write(), old.yard
    yard.cloud.delete_server(old.ids["=cmd"])
    with transaction(yard.engine) as session:
        session.get_one(Bureau, yard.hall.town).abolished_at = yard.at
    told = problems(old, raw)
    assert sum("was abolished" in one for one in told) >= 2
    assert any("not in the cloud of region yard any more" in one for one in told)


def test_one_that_a_request_asks_for_is_told_with_its_number(old: Old) -> None:
    yard = old.yard
    asked = yard.draft(LineAsked(cloud_id=old.ids["=cmd"]), kind="adoption")
    yard.submit(asked)
    assert f"request {asked}" in problems(old, old.write())[0]


def test_a_row_left_empty_is_left(old: Old) -> None:
    report = old.read(edited(old.write(), "=cmd", bureau=None))
    assert report.servers == 2
    assert set(report.left) == {"=cmd", "who"}


@pytest.mark.parametrize(
    "raw", [b"", b"cloud_id,bureau\n1,2\n", "编号,单位\n".encode("gb18030"), b"PK\x03\x04xx"]
)
def test_what_is_no_workbook_is_refused(old: Old, raw: bytes) -> None:
    with pytest.raises(AdoptionFileUnreadable):
        old.read(raw)


def test_a_workbook_of_something_else_is_refused(old: Old) -> None:
    out = BytesIO()
    Workbook().save(out)
    with pytest.raises(AdoptionFileUnreadable):
        old.read(out.getvalue())
