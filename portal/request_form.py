"""The form of a resource request of any kind: its lines, which can be added and taken out without a script.

Each line is a row with a key of its own: the field `row` lists the keys, and `count.3` is row 3's count.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session

from portal.form import Form
from portal.limits_form import limits_fields, read_limits
from provisioning.models import Finding, RegionFlavor, RegionImage, Request, RequestLine, Server, Volume
from provisioning.queries import (
    list_flavors,
    list_images,
    list_servers,
    list_volumes_in_use,
    servers_by_id,
)
from provisioning.quota import Limits
from provisioning.service.asking import LINES_AT_MOST, PURPOSE_LENGTH, VOLUME_GIB_AT_MOST, LineAsked
from provisioning.service.fulfil import TARGET_STATES
from provisioning.service.removal_asking import list_removable
from provisioning.service.states import PASSING

COLUMNS = {
    "new_system": ("count", "flavor", "image", "volume_gib"),
    "servers": ("count", "flavor", "image", "volume_gib"),
    "adoption": ("cloud_id",),
    "volumes": ("target", "volume_gib"),
    "enlargement": ("volume", "volume_gib"),
    "resize": ("target", "flavor"),
}
"""What a line of a kind is made of, for the kinds that are written line by line."""
PICKED = ("extension", "release")
"""Kinds whose lines are nothing but servers, which are ticked in a list; a removal's are findings."""
ENDING = ("new_system", "servers", "adoption", "extension")
"""Kinds that last until a day."""
COUNT_AT_MOST = 1000
CLOUD_ID_LENGTH = 64
GONE_NAMED = 10
NONE_PICKED = ("请至少勾选一台云服务器", "Tick at least one server")
NONE_FOUND = ("请至少勾选一项", "Tick at least one of them")


@dataclass(frozen=True)
class Offer:
    """What a line can name: flavors, images, the system's servers that the kind can change, their volumes
    in use, and findings of what can be removed.
    """

    flavors: Sequence[RegionFlavor]
    images: Sequence[RegionImage]
    servers: Sequence[Server]
    volumes: Sequence[tuple[Volume, Server]]
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Asked:
    """What the form asks for, as the use cases take it; good only if the form has no errors."""

    purpose: str
    end_on: date | None
    lines: list[LineAsked]
    limit: Limits | None


def offer_of(
    session: Session,
    *,
    kind: str,
    region: str,
    bureau_id: int,
    system_id: int | None,
    asked: Collection[int] = (),
) -> Offer:
    """What lines of a request of `kind` can name in the region.

    `asked` are ids of servers that the request names already: they stay in it, whatever they do now, until
    somebody takes them out.
    """
    found: dict[int, Server] = {}
    if system_id is not None and kind in TARGET_STATES:
        states = {*TARGET_STATES[kind], *PASSING}  # the latter come to rest by themselves
        fit = list_servers(session, system_id=system_id, region=region, states=states, limit=None)
        found = {one.id: one for one in fit} | servers_by_id(session, asked)
    return Offer(
        list_flavors(session, region),
        list_images(session, region),
        [found[server_id] for server_id in sorted(found)],
        list_volumes_in_use(session, found) if kind == "enlargement" else [],
        list_removable(session, region=region, bureau_id=bureau_id) if kind == "removal" else [],
    )


def empty_form(kind: str, *, limit: Limits | None = None) -> Form:
    """A form with one empty line; of a quota change, with the limit that holds now."""
    return Form.of(row=["1"], **{"count.1": "1"}, **limits_fields(limit or Limits()))


def form_of(request: Request, lines: Sequence[RequestLine]) -> Form:
    """The form with what a request asks for already."""
    fields: dict[str, object] = {
        "purpose": request.purpose,
        "end_on": request.end_on,
        "row": [str(number) for number, _ in enumerate(lines, start=1)],
        "target": [str(line.target_id) for line in lines],
        "finding": [str(line.finding_id) for line in lines],
        **limits_fields(request.limit or Limits()),
    }
    for number, line in enumerate(lines, start=1):
        row = {"count": line.count, "flavor": line.flavor, "image": line.image, "target": line.target_id}
        row |= {"cloud_id": line.cloud_id, "volume": line.volume_id}
        fields |= {f"{name}.{number}": value for name, value in row.items()}
        fields[f"volume_gib.{number}"] = line.volume_gib
    return Form.of(**fields)


def rows_of(form: Form) -> list[str]:
    """The keys of the form's lines, in order; what is no key of ours is left out."""
    keys = [one for one in form.all_typed("row") if one.isascii() and one.isdigit() and len(one) <= 4]
    return list(dict.fromkeys(keys))[: LINES_AT_MOST + 1]


def with_a_line(form: Form) -> Form:
    """The form with an empty line more at its end."""
    keys = rows_of(form)
    new = str(max((int(one) for one in keys), default=0) + 1)
    return Form({**form.fields, "row": [*keys, new], f"count.{new}": ["1"]})


def without_a_line(form: Form, key: str) -> Form:
    """The form without that line; the last one stays."""
    left = [one for one in rows_of(form) if one != key]
    return Form({**form.fields, "row": left or rows_of(form)})


def read_request(form: Form, kind: str, offer: Offer) -> Asked:
    """What was typed; whatever is wrong is told beside its field."""
    return Asked(
        purpose=form.text("purpose", longest=PURPOSE_LENGTH),
        end_on=form.day("end_on") if kind in ENDING else None,
        lines=_lines(form, kind, offer),
        limit=read_limits(form) if kind == "quota_change" else None,
    )


def place_refusal(form: Form, kind: str) -> None:
    """Put what the use case refused beside the field or the line that it names."""
    if form.refusal is None or form.refusal.code != "request_invalid":
        return
    facts = form.refusal.facts
    why = (facts["why_zh"], facts["why_en"])
    keys = rows_of(form)
    line = facts.get("line")
    if line is not None and kind in COLUMNS and line <= len(keys):
        form.refuse(f"row.{keys[line - 1]}", why)
    elif facts.get("field"):
        form.refuse(facts["field"], why)


def _lines(form: Form, kind: str, offer: Offer) -> list[LineAsked]:
    if kind == "removal":
        return _found(form, offer)
    if kind in PICKED:
        return _picked(form, offer)
    return [_line(form, kind, key, offer) for key in rows_of(form)] if kind in COLUMNS else []


def _found(form: Form, offer: Offer) -> list[LineAsked]:
    """The ticked findings; one that is over meanwhile is left out, and the page shows it no more."""
    ticked = form.all_typed("finding")
    found = [LineAsked(finding_id=one.id) for one in offer.findings if str(one.id) in ticked]
    if not found:
        form.refuse("finding", NONE_FOUND)
    return found


def _line(form: Form, kind: str, key: str, offer: Offer) -> LineAsked:
    columns = COLUMNS[kind]
    flavor = image = None
    count: int | None = 1
    volume: int | None = 0
    target: int | None = None
    cloud_id: str | None = None
    larger: int | None = None
    if "volume" in columns:
        larger = int(form.one_of(f"volume.{key}", {str(one.id) for one, _ in offer.volumes}) or 0)
    if "cloud_id" in columns:
        cloud_id = form.text(f"cloud_id.{key}", longest=CLOUD_ID_LENGTH)
    if "count" in columns:
        count = form.whole(f"count.{key}", least=1, most=COUNT_AT_MOST)
    if "target" in columns:
        target = int(form.one_of(f"target.{key}", {str(one.id) for one in offer.servers}) or 0)
    if "flavor" in columns:
        flavor = form.one_of(f"flavor.{key}", {one.name for one in offer.flavors})
    if "image" in columns:
        image = form.one_of(f"image.{key}", {one.name for one in offer.images})
    if "volume_gib" in columns:
        is_needed = kind in ("volumes", "enlargement")
        volume = form.whole(
            f"volume_gib.{key}", least=1 if is_needed else 0, most=VOLUME_GIB_AT_MOST, needed=is_needed
        )
    return LineAsked(count or 1, flavor, image, volume or 0, target, cloud_id, volume_id=larger)


def _picked(form: Form, offer: Offer) -> list[LineAsked]:
    offered = {str(one.id) for one in offer.servers}
    picked = list(dict.fromkeys(form.all_typed("target")))
    if gone := [one for one in picked if one not in offered]:
        listed = "、".join(gone[:GONE_NAMED]), ", ".join(gone[:GONE_NAMED])
        form.refuse(
            "target",
            (
                f"所勾选的云服务器中有 {len(gone)} 台（编号 {listed[0]}）现已不能办理，"
                "已取消勾选；请核对后再提交",
                f"{len(gone)} of the ticked servers (id {listed[1]}) cannot be changed any more and are "
                "unticked; check the rest and send it again",
            ),
        )
    elif not picked:
        form.refuse("target", NONE_PICKED)
    return [LineAsked(target_id=int(one)) for one in picked if one in offered]
