"""`siji quota`: the counters against a recount; the work is in provisioning.service.recount."""

from typing import Annotated

import typer

from infra.database import reading
from portal.cli.local import open_local
from portal.cli.speech import language
from provisioning.service.recount import recount as recount_counters

app = typer.Typer(no_args_is_help=True)

SAID = {
    "same": {"zh": "计数与台账一致", "en": "The counters equal the recount"},
    "differs": {"zh": "{n} 处计数与台账不一致", "en": "{n} counters differ from the recount"},
    "row": {
        "zh": "区域 {region} 单位 {bureau_id} 的 {counter}：计数为 {cached}，台账为 {recounted}",
        "en": "region {region}, bureau {bureau_id}, {counter}: counted {cached}, recounted {recounted}",
    },
}


@app.command()
def recount(
    region: Annotated[str | None, typer.Option(help="只核对此区域 · this region only")] = None,
) -> None:
    """核对计数 · Compare every counter with sums over allocations and grants; status 1 where they differ."""
    with reading(open_local().engine) as session:
        differences = recount_counters(session, region=region)
    for difference in differences:
        typer.echo(SAID["row"][language()].format_map(vars(difference)), err=True)
    if differences:
        typer.echo(SAID["differs"][language()].format(n=len(differences)), err=True)
        raise typer.Exit(1)
    typer.echo(SAID["same"][language()])
