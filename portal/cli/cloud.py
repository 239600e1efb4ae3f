"""`siji cloud`: this installation's clouds beside its records; the work is in provisioning.service."""

from typing import Annotated

import typer

from identity.queries import find_bureaus
from infra.database import reading
from infra.installation import Installation
from portal.cli.adoption import adopt
from portal.cli.local import open_local
from portal.cli.options import AsJson
from portal.cli.speech import language, say
from portal.cli.tables import Column, show_list
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import CloudFailure
from provisioning.finding_wording import KINDS, tell
from provisioning.queries import get_region, list_findings, list_regions
from provisioning.service.audits import SCOPES, audit_region

app = typer.Typer(no_args_is_help=True)

COLUMNS = (
    Column("id", "编号", "number"),
    Column("region", "区域", "region"),
    Column("kind", "类别", "kind", KINDS),
    Column("name", "对象", "what"),
    Column("bureau", "归属单位", "owner"),
    Column("age_hours", "存续小时", "age in hours"),
    Column("told_{language}", "情况", "how it is"),
    Column("acknowledged", "认可理由", "acknowledged for"),
)
SAID = {
    "none": {"zh": "云平台与台账一致", "en": "The clouds are as recorded"},
    "some": {"zh": "有 {n} 处不一致待处理", "en": "{n} differences are to be settled"},
    "known": {"zh": "不一致之处均已认可", "en": "Every difference is acknowledged"},
    "failed": {"zh": "未能核对区域 {region}：{why}", "en": "Region {region} was not audited: {why}"},
}


app.command()(adopt)


@app.command()
def audit(
    region: Annotated[str | None, typer.Option(help="只核对此区域 · this region only")] = None,
    as_json: AsJson = False,
) -> None:
    """核对 · Compare the clouds with the records now, and print what differs.

    Status 1 where something is to be settled, 2 where a cloud could not be asked; nothing is changed.
    """
    here = open_local()
    with reading(here.engine) as session:
        names = [region] if region else [one.name for one in list_regions(session)]
        for name in names:
            get_region(session, name)
    failed = [name for name in names if not _audit(here, name)]
    with reading(here.engine) as session:
        found = list_findings(session, region=region, limit=None)
        owners = find_bureaus(session, {one.bureau_id for one in found if one.bureau_id is not None})
    now = here.clock.now()
    rows = [
        {
            "id": one.id,
            "region": one.region,
            "kind": one.kind,
            "name": one.name,
            "bureau": owners[one.bureau_id].code if one.bureau_id is not None else None,
            "age_hours": round((now - one.first_seen_at).total_seconds() / 3600, 1),
            **dict(zip(("told_zh", "told_en"), tell(one.kind, one.name, one.facts), strict=True)),
            "acknowledged": one.reason or None,
        }
        for one in found
    ]
    if rows or as_json:
        show_list(rows, COLUMNS, as_json=as_json)
    waiting = sum(1 for one in found if one.acknowledged_at is None)
    if not as_json and not failed:
        say(SAID["some" if waiting else "known" if rows else "none"], n=waiting)
    if failed or waiting:
        raise typer.Exit(2 if failed else 1)


def _audit(here: Installation, name: str) -> bool:
    """Whether the region could be asked in both scopes; if not, it is said why."""
    at = here.clock.now()
    try:
        cloud = connect(here.settings, name, here.clock)
        for scope in SCOPES:
            audit_region(here.engine, cloud, scope=scope, at=at)
    except CloudFailure as failure:
        say(SAID["failed"], err=True, region=name, why=failure.message(language()))
        return False
    return True
