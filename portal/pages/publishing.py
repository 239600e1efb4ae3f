"""Publishing a file from the browser: what is understood of it is shown before anything is stored.

Nothing is kept on the server between the two: the page that shows it brings the file again, packed.
"""

import binascii
import hashlib
import io
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from exchange.batch import Change, Sorted, encode, sort_batch
from exchange.forms import Told, form_of, read_batch
from exchange.models import Dataset
from exchange.schema import Item, RecordRules
from exchange.service.publish import MAX_BATCH_RECORDS, publish_batch, version_for
from exchange.version_queries import get_items
from identity.models import System
from identity.queries import list_systems
from identity.roles import Permission as P
from infra.database import reading
from infra.errors import Kind, SijiError
from infra.installation import Installation
from infra.packing import pack, packing_in, unpack
from infra.settings import MIB
from portal.access import At, Here, Log
from portal.api.uploads import unpacked
from portal.flash import onward
from portal.form import CORRECTABLE, Form, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.pages.datasets import dataset_of
from portal.render import render

router = APIRouter(include_in_schema=False)
MOST = 4 * MIB
SHOWN_ROWS, SHOWN_BAD = 10, 20
ENCODINGS = ("", "utf-8", "gb18030")
PACKED, PLAIN = "z", "p"

NO_FILE = ("请选择要发布的文件", "Choose the file to publish")
TOO_LARGE = (
    f"页面发布的文件不超过 {MOST // MIB} MiB，更大的请用 siji publish",
    f"A file from the browser has at most {MOST // MIB} MiB; send a larger one with siji publish",
)


@dataclass(frozen=True)
class Chosen:
    """A file that the person chose, as it is on their machine."""

    name: str
    raw: bytes

    @property
    def kept(self) -> str:
        """It as a field of a form."""
        packed = pack(self.raw)
        mark, content = (PLAIN, self.raw) if packed is None else (PACKED, packed)
        return mark + urlsafe_b64encode(content).decode()

    @property
    def key(self) -> str:
        """The idempotency key of publishing it."""
        return f"sha256:{hashlib.sha256(self.raw).hexdigest()}"


@dataclass(frozen=True)
class Place:
    """Where it goes: the dataset, the items that hold for it, of which version they are, and the systems of
    its provider."""

    dataset: Dataset
    version: int
    items: Sequence[Item]
    systems: Sequence[System]

    def publisher(self, code: str) -> int:
        """The id of the system of that code."""
        return next(one.id for one in self.systems if one.code == code)


async def chosen_file(request: Request) -> Chosen | None:
    """The file that came with the form, or enough of it to see that it is too large. Async, as reading is."""
    found = (await request.form()).get("file")
    if not isinstance(found, UploadFile) or not found.filename:
        return None
    return Chosen(found.filename[-200:], await found.read(MOST + 1))


@router.get("/publish/{code:path}")
def choose(
    request: Request, code: str, asker: Annotated[Asker, page_needs(P.datasets_publish)], here: Here
) -> Response:
    """The form."""
    return _show(request, _place(here, asker, code), Form())


@router.post("/publish/{code:path}")
def send(
    request: Request,
    code: str,
    asker: Annotated[Asker, form_needs(P.datasets_publish)],
    sent: SentForm,
    log: Log,
    at: At,
    came: Annotated[Chosen | None, Depends(chosen_file)],
) -> Response:
    """Show what is understood of the file, or publish it; the same file gets the same receipt."""
    place, form, here = _place(sent.here, asker, code), sent.form, sent.here
    encoding = form.one_of("encoding", ENCODINGS, needed=False)
    sheet = form.text("sheet", longest=31, needed=False)
    system = form.one_of("system", [one.code for one in place.systems])
    chosen = _chosen(form, came)
    if chosen is None or "encoding" in form.errors or "sheet" in form.errors:
        return _show(request, place, form, chosen)
    if system:
        place = _as_claimed(here, place, publisher_id=place.publisher(system), key=chosen.key)
    try:
        changes = _read(here, place, chosen, encoding=encoding or None, sheet=sheet or None)
        if form.typed("do") == "publish" and not form.is_wrong:
            receipt = publish_batch(
                here.engine,
                log,
                dataset_id=place.dataset.id,
                publisher_id=place.publisher(system),
                key=chosen.key,
                changes=changes,
                at=at,
                now=here.clock.now,
                version=place.version,
            )
            return onward(
                request, f"/receipts/{receipt.id}", TAKEN_BEFORE if receipt.is_older(at) else PUBLISHED
            )
    except SijiError as error:
        if error.kind not in (*CORRECTABLE, Kind.unsupported):
            raise
        form.refusal = error
        return _show(request, place, form, chosen)
    return _show(request, place, form, chosen, changes)


PUBLISHED = ("已发布，回执如下", "Published; this is the receipt")
TAKEN_BEFORE = (
    "该文件此前已接收，本次未再写入，以下为当时的回执",
    "The file was taken before, so nothing was written now; this is its receipt",
)


def _place(here: Installation, asker: Asker, code: str) -> Place:
    with reading(here.engine) as session:
        dataset = dataset_of(session, code)
        asker.at(session, dataset.bureau_id)
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
        systems = list_systems(session, bureau_id=dataset.bureau_id)
        session.expunge_all()
    return Place(dataset, dataset.version, items, systems)


def _as_claimed(here: Installation, place: Place, *, publisher_id: int, key: str) -> Place:
    """The same with the items that an earlier attempt at publishing the file began with."""
    with reading(here.engine) as session:
        version = version_for(session, place.dataset, publisher_id=publisher_id, key=key)
        items = get_items(session, dataset_id=place.dataset.id, version=version)
    return replace(place, version=version, items=items)


def _chosen(form: Form, came: Chosen | None) -> Chosen | None:
    """The file that came, or the one that the page kept; what is wrong with it is noted in the form."""
    chosen = came or _unkept(form)
    if chosen is None or not chosen.raw:
        form.refuse("file", NO_FILE)
        return None
    if len(chosen.raw) > MOST:
        form.refuse("file", TOO_LARGE)
        return None
    return chosen


def _unkept(form: Form) -> Chosen | None:
    kept = form.typed("kept")
    try:
        content = urlsafe_b64decode(kept[1:])
    except (binascii.Error, ValueError):
        return None
    if kept[:1] == PACKED:
        plain = io.BytesIO()
        try:
            unpack(io.BytesIO(content), plain, packing="zstd", limit=MOST)
        except SijiError:
            return None
        content = plain.getvalue()
    return Chosen(form.typed("name")[-200:], content) if content else None


def _read(
    here: Installation, place: Place, chosen: Chosen, *, encoding: str | None, sheet: str | None
) -> list[Change]:
    """What the file says. Raises as reading a batch and unpacking do."""
    limit = here.settings.batch_unpacked_bytes
    with unpacked(io.BytesIO(chosen.raw), packing_in(chosen.raw) or "", limit=limit) as content:
        told = Told(form_of(chosen.name, content.read(4096)), encoding, sheet)
        content.seek(0)
        return read_batch(
            content, told, place.items, place.dataset.key_items, most=MAX_BATCH_RECORDS, limit=limit
        )


def _show(
    request: Request,
    place: Place,
    form: Form,
    chosen: Chosen | None = None,
    changes: Sequence[Change] | None = None,
) -> Response:
    facts: dict[str, Any] = {
        "dataset": place.dataset,
        "systems": place.systems,
        "form": form,
        "chosen": chosen,
        "batch": None if changes is None else _sorted(place, changes),
        "shown": [] if changes is None else [_row(place, *one) for one in enumerate(changes[:SHOWN_ROWS], 1)],
        "columns": place.items,
        "shown_bad": SHOWN_BAD,
    }
    return render(request, "publish.html", facts, status=form.status)


def _sorted(place: Place, changes: Sequence[Change]) -> Sorted:
    """As publishing would sort it."""
    return sort_batch(
        changes,
        encode(changes),
        rules=RecordRules(place.items, place.dataset.key_items),
        partitions=place.dataset.partitions,
        full=place.dataset.update_mode == "full",
    )


def _row(place: Place, number: int, change: Change) -> tuple[int, bool, list[str]]:
    """A record as it is understood: its place, whether it is deleted, and what each item says."""
    value = change.value if isinstance(change.value, dict) else {}
    said = [_said(value[item.name]) if item.name in value else "—" for item in place.items]
    return change.place or number, change.delete, said


def _said(value: Any) -> str:
    """As it is shown: what no text may hold, half a surrogate pair, as its escape."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace").decode()
