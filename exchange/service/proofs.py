"""Proofs: the messages of a dataset or subscription within the chain, checked without the installation.

A proof is NDJSON: what it is of, then every link of the chain in order, the wanted messages whole and of all
others only their digests, with the signed heads at their places. It shows that what it holds was said. That
nothing was left out of it, shown as another's, only the installation can tell.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Engine, func, select

from exchange.digest import canonical
from exchange.errors import ProofBroken
from exchange.message_chain import BEGINNING, content_of, digest_of, link
from exchange.message_models import MESSAGES, Message, MessageHead
from infra.database import reading
from infra.journal import parse_head

PAGE = 2_000
KIND = "siji.messages"


@dataclass(frozen=True)
class Wanted:
    """The messages of a subscription, else of a dataset, of [start, end); or of them that of one receipt."""

    dataset_id: int
    subscription_id: int | None
    start: datetime
    end: datetime
    receipt_id: int | None = None


@dataclass(frozen=True)
class ProofFound:
    """What a proof shows: how many receipts and deliveries, with how many records; which part of the chain it
    holds, and up to which place a genuine head vouches for it (0: none does).
    """

    of: dict[str, Any]
    receipts: int
    deliveries: int
    records: int
    first: int
    last: int
    signed_to: int

    @property
    def signed(self) -> bool:
        """Whether the signature covers all that is shown."""
        return self.signed_to >= self.last


def write_proof(engine: Engine, wanted: Wanted, *, named: dict[str, Any]) -> Iterator[bytes]:
    """The lines of a proof; `named` says in words what it is of. No transaction is open for long: the chain
    only grows.
    """
    first, last = _stretch(engine, wanted)
    with reading(engine) as session:
        before = select(Message.digest).where(Message.seq == first - 1)
        told = {"kind": KIND, **named, "start": wanted.start.isoformat(), "end": wanted.end.isoformat()}
        yield _line(told | {"first": first, "last": last, "before": session.scalar(before) or BEGINNING})
    seq = first
    while seq <= last:
        with reading(engine) as session:
            through = min(last, seq + PAGE - 1)
            rows = session.scalars(
                select(Message).where(Message.seq.between(seq, through)).order_by(Message.seq)
            )
            heads = session.scalars(select(MessageHead).where(MessageHead.seq.between(seq, through)))
            yield from _links(rows, wanted, {head.seq: head for head in heads})
        seq = through + 1


def check_proof(lines: Iterable[bytes], public_keys: Sequence[Ed25519PublicKey]) -> ProofFound:
    """Follow the chain through a proof, whose heads may be signed with any of the keys: the present one and
    those of before it. Raises ProofBroken, with the line that does not hold.
    """
    number, counts = 1, {"receipt": 0, "delivery": 0}
    records = signed_to = 0
    of: dict[str, Any] = {}
    digest, seq, first, last = "", 0, 0, 0
    for number, line in enumerate(lines, start=1):
        told = _read(line, number)
        try:
            if number == 1:
                digest, first, last = told.pop("before"), told.pop("first"), told.pop("last")
                seq, of = first - 1, told
                if of.pop("kind") != KIND:
                    raise ValueError(KIND)
            elif "head" in told:
                stated = json.dumps(told["head"])
                heads = (parse_head(stated, number, key, MESSAGES.name) for key in public_keys)
                if not any(head.genuine and (head.seq, head.digest) == (seq, digest) for head in heads):
                    raise ProofBroken(line=number, **HEAD)
                signed_to = seq
            elif "others" in told:
                for other in told["others"]:
                    seq, digest = seq + 1, link(digest, other)
            else:
                content = told["message"]
                if told["seq"] != seq + 1:
                    raise ProofBroken(line=number, **LEFT_OUT)
                seq, digest = seq + 1, link(digest, digest_of(content_of(content)))
                counts[content["kind"]] += 1
                records += _records(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProofBroken(line=number, **NO_PROOF) from error
    if not of or seq != last:
        raise ProofBroken(line=number, **NO_PROOF)
    return ProofFound(of, counts["receipt"], counts["delivery"], records, first, seq, signed_to)


NO_PROOF = {
    "why_zh": "不是存证文件的内容，或不完整",
    "why_en": "it is not what a proof consists of, or cut off",
}
LEFT_OUT = {
    "why_zh": "序号不连续，有消息被去掉或插入",
    "why_en": "a message was taken out or put in before it",
}
HEAD = {
    "why_zh": "签名与此前的消息不符：此前有内容被改动，或签名不是所给密钥的",
    "why_en": "its signature does not fit what comes before: that was changed, or another key signed it",
}


def _stretch(engine: Engine, wanted: Wanted) -> tuple[int, int]:
    """The first and last link to show: up to the first head that covers what is wanted, if one does yet."""
    with reading(engine) as session:
        mine = select(func.min(Message.seq), func.max(Message.seq)).where(
            Message.dataset_id == wanted.dataset_id, Message.at >= wanted.start, Message.at < wanted.end
        )
        if wanted.subscription_id is not None:
            mine = mine.where(Message.subscription_id == wanted.subscription_id)
        if wanted.receipt_id is not None:
            mine = mine.where(Message.kind == "receipt", Message.about_id == wanted.receipt_id)
        first, last = session.execute(mine).one()
        if first is None or last is None:
            return 1, 0
        covering = select(func.min(MessageHead.seq)).where(MessageHead.seq >= last)
        return first, session.scalar(covering) or last


def _links(rows: Iterable[Message], wanted: Wanted, heads: dict[int, MessageHead]) -> Iterator[bytes]:
    others: list[str] = []
    for row in rows:
        if _is_wanted(row, wanted):
            if others:
                yield _line({"others": others})
            others = []
            yield _line({"seq": row.seq, "message": json.loads(row.content)})
        else:
            others.append(row.content_digest)
        if head := heads.get(row.seq):
            if others:
                yield _line({"others": others})
            others = []
            said = {"seq": head.seq, "digest": head.digest, "at": head.at, "signature": head.signature}
            yield _line({"head": said})
    if others:
        yield _line({"others": others})


def _is_wanted(row: Message, wanted: Wanted) -> bool:
    mine = row.dataset_id == wanted.dataset_id and wanted.subscription_id in (None, row.subscription_id)
    if wanted.receipt_id is not None:
        mine = mine and (row.kind, row.about_id) == ("receipt", wanted.receipt_id)
    return mine and wanted.start <= row.at < wanted.end


def _line(document: dict[str, Any]) -> bytes:
    return canonical(document) + b"\n"


def _read(line: bytes, number: int) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProofBroken(line=number, **NO_PROOF) from error
    if not isinstance(told, dict):
        raise ProofBroken(line=number, **NO_PROOF)
    return told


def _records(content: dict[str, Any]) -> int:
    if content["kind"] == "delivery":
        return int(content["count"])
    return int(content["upserts"]) + int(content["deletes"])
