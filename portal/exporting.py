"""A subscription's file as an answer that is streamed."""

from urllib.parse import quote

from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from exchange.broker.driver import Broker
from exchange.files import FORMATS, Format
from exchange.service.export import export
from infra.installation import Installation


def file_of(
    here: Installation, log: Broker, *, subscription_id: int, system_id: int, actor: str, form: Format
) -> StreamingResponse:
    """The file; that it is whole shows in how the transfer ends. Raises as `export` does."""
    made = export(
        here.engine,
        log,
        subscription_id=subscription_id,
        system_id=system_id,
        actor=actor,
        clock=here.clock,
        form=form,
    )
    name = f"{made.dataset.replace('/', '-')}-{subscription_id}.{form}"
    return StreamingResponse(
        made.pieces,
        media_type=FORMATS[form],
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
            "Cache-Control": "no-store",
            "Siji-Delivery": str(made.delivery_id),
            "Siji-Count": str(made.count),
            "Siji-Digest": made.digest,
        },
        background=BackgroundTask(made.close),
    )
