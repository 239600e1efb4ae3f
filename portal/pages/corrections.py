"""Correcting a batch's bad records in the browser: one in a form, many in a file; or discarding them."""

import io
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.batch import Bad, Change
from exchange.cells import read_text_cell
from exchange.correction_file import read_raw, shown
from exchange.forms import Told, form_of, read_batch
from exchange.models import Dataset, QuarantinedRecord
from exchange.queries import get_batch, get_dataset, list_quarantined
from exchange.schema import Item
from exchange.service.quarantine import MOST_AT_ONCE, discard, look_at_quarantine
from exchange.service.redrive import redrive
from exchange.version_queries import get_items
from identity.roles import Permission as P
from infra.database import reading, transaction
from infra.errors import Kind, SijiError
from portal.access import Log, Writing
from portal.api.corrections import attachment, file_of
from portal.flash import Pair, onward
from portal.form import CORRECTABLE, Form, Sent, SentForm
from portal.language import language_of
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.datasets import of_batch, show_receipt
from portal.pages.publishing import MOST as MOST_BYTES
from portal.pages.publishing import NO_FILE, TOO_LARGE, Chosen, chosen_file
from portal.render import render

router = APIRouter(include_in_schema=False)
Provider = Annotated[Asker, form_needs(P.datasets_publish)]
STILL_BAD: Pair = ("更正后仍有问题，未入库：", "It is still bad and was not stored: ")
DISCARDED: Pair = ("已放弃所选的问题数据", "The chosen records are discarded")
NONE_CHOSEN: Pair = ("请选择要放弃的记录", "Choose the records to discard")


@router.post("/receipts/{batch_id}/correction")
def correction(request: Request, batch_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """The form for one bad record, filled with what was sent; the look is journalled."""
    place = sent.form.whole("place", least=1) or 0
    with transaction(sent.here.engine) as session:
        dataset = of_batch(session, asker, batch_id)
        found = look_at_quarantine(
            session, batch_id=batch_id, actor=asker.actor.journal_id, at=sent.at, after=place - 1, limit=1
        )
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
    record = next((one for one in found if one.place == place and one.state == "waiting"), None)
    if record is None:
        return onward(request, f"/receipts/{batch_id}", ("该记录已处理", "The record is settled already"))
    value = read_raw(record.raw)
    fields = {f"item.{item.name}": shown(value.get(item.name)) for item in items}
    operation = "delete" if record.is_delete else "upsert"
    filled = Form.of(place=place, op=operation, record_id=record.record_id or "", **fields)
    return _show_form(request, dataset, batch_id, items, record, filled)


@router.post("/receipts/{batch_id}/redrive")
def redrive_one(request: Request, batch_id: RowId, asker: Provider, sent: SentForm, log: Log) -> Response:
    """Publish one record as it was corrected in the form; what is still wrong with it is told there."""
    form = sent.form
    place = form.whole("place", least=1) or 0
    with reading(sent.here.engine) as session:
        dataset = of_batch(session, asker, batch_id)
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
        found = list_quarantined(session, batch_id=batch_id, after=place - 1, limit=1)
        session.expunge_all()
    if not found or found[0].place != place:
        return onward(request, f"/receipts/{batch_id}", ("没有该记录", "There is no such record"))
    path = _redrive(sent, log, asker, batch_id, [_typed(form, items, dataset, place)], alone=True)
    if path is not None:
        return onward(request, path, ("已更正入库，回执如下", "Redriven; this is the receipt"))
    return _show_form(request, dataset, batch_id, items, found[0], form)


@router.post("/receipts/{batch_id}/discard")
def discard_some(request: Request, batch_id: RowId, asker: Provider, sent: SentForm) -> Response:
    """Set the chosen records aside, with a reason."""
    form = sent.form
    reason = form.text("reason", longest=2000)
    places = [
        int(one) for one in form.all_typed("place") if one.isascii() and one.isdigit() and len(one) < 10
    ]
    if not places:
        form.refuse("place", NONE_CHOSEN)

    def once(session: Session) -> str:
        of_batch(session, asker, batch_id)
        actor = asker.actor.journal_id
        discard(session, batch_id=batch_id, places=places, reason=reason, actor=actor, at=sent.at)
        return f"/receipts/{batch_id}"

    path = None if form.is_wrong else sent.once(asker.actor, once)
    if path is not None:
        return onward(request, path, DISCARDED)
    return _show_receipt(request, asker, sent, batch_id)


@router.post("/receipts/{batch_id}/file")
def file(request: Request, batch_id: RowId, asker: Provider, sent: SentForm, session: Writing) -> Response:
    """The waiting records as a file to correct; the look is journalled."""
    form = "xlsx" if sent.form.typed("form") == "xlsx" else "csv"
    dataset = of_batch(session, asker, batch_id)
    content = file_of(
        session,
        dataset,
        batch_id,
        actor=asker.actor.journal_id,
        at=sent.at,
        form=form,
        language=language_of(request),
    )
    return attachment(content, f"quarantine-{batch_id}.{form}", form)


@router.post("/receipts/{batch_id}/corrections")
def corrections(
    request: Request,
    batch_id: RowId,
    asker: Provider,
    sent: SentForm,
    log: Log,
    came: Annotated[Chosen | None, Depends(chosen_file)],
) -> Response:
    """Publish the records of a corrected file; those that are still bad stay, and are told."""
    if came is None or not came.raw:
        sent.form.refuse("file", NO_FILE)
    elif len(came.raw) > MOST_BYTES:
        sent.form.refuse("file", TOO_LARGE)
    else:
        path = _redrive_file(sent, log, asker, batch_id, came)
        if path is not None:
            return onward(request, path, ("已更正入库，回执如下", "Redriven; this is the receipt"))
    return _show_receipt(request, asker, sent, batch_id)


def _redrive_file(sent: Sent, log: Log, asker: Asker, batch_id: int, came: Chosen) -> str | None:
    with reading(sent.here.engine) as session:
        dataset = of_batch(session, asker, batch_id)
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
    limit = sent.here.settings.batch_unpacked_bytes
    told = Told(form_of(came.name, came.raw[:4096]))
    try:
        found = read_batch(
            io.BytesIO(came.raw),
            told,
            items,
            dataset.key_items,
            most=MOST_AT_ONCE,
            limit=limit,
            correcting=True,
        )
    except SijiError as error:
        sent.form.refusal = error
        return None
    return _redrive(sent, log, asker, batch_id, found)


def _redrive(
    sent: Sent, log: Log, asker: Asker, batch_id: int, changes: Sequence[Change], *, alone: bool = False
) -> str | None:
    """The path of the receipt, or None, and the form tells what is wrong."""
    force = sent.form.text("force", longest=2000, needed=False)
    try:
        done = redrive(
            sent.here.engine,
            log,
            batch_id=batch_id,
            corrections=changes,
            actor=asker.actor.journal_id,
            at=sent.at,
            now=sent.here.clock.now,
            force=force,
        )
    except SijiError as error:
        if error.kind not in (*CORRECTABLE, Kind.unsupported):
            raise
        sent.form.refusal = error
        return None
    for one in done.still_bad[:20]:
        _tell(sent.form, one, alone=alone)
    if sent.form.errors:
        return None
    return f"/receipts/{done.receipts[-1].id if done.receipts else batch_id}"


def _tell(form: Form, bad: Bad, *, alone: bool) -> None:
    """Beside the items of a record that was corrected alone, else with its place."""
    for reason in bad.reasons:
        if alone and reason.item is not None:
            form.refuse(f"item.{reason.item}", (reason.zh, reason.en))
        else:
            place = ("", "") if alone else (f"位置 {bad.place}：", f"Place {bad.place}: ")
            form.refuse(f"place.{bad.place}", (place[0] + reason.zh, place[1] + reason.en))


def _typed(form: Form, items: Sequence[Item], dataset: Dataset, place: int) -> Change:
    """What the form says; an empty field is an absent item."""
    delete = form.typed("op") == "delete"
    texts = {item: form.typed(f"item.{item.name}") for item in items}
    wanted = [item for item in items if texts[item] and (not delete or item.name in dataset.key_items)]
    value = {item.name: read_text_cell(item, texts[item]) for item in wanted}
    return Change(value, delete, place=place, id=form.typed("record_id").strip() or None)


def _show_form(
    request: Request,
    dataset: Dataset,
    batch_id: int,
    items: Sequence[Item],
    record: QuarantinedRecord,
    form: Form,
) -> Response:
    facts = {"dataset": dataset, "batch_id": batch_id, "items": items, "record": record, "form": form}
    return render(request, "correction.html", facts, status=form.status)


def _show_receipt(request: Request, asker: Asker, sent: Sent, batch_id: int) -> Response:
    with reading(sent.here.engine) as session:
        found = get_dataset(session, dataset_id=get_batch(session, batch_id=batch_id).dataset_id)
        asker.at(session, found.bureau_id)
        return show_receipt(request, session, found, batch_id, form=sent.form)
