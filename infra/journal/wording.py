"""Where a verification of the journal found it broken, in Chinese and English."""

from infra.journal.chain import Break, Verification

Pair = tuple[str, str]

FORGED: Pair = (
    "签名文件第 {line} 行不是本系统签名，系伪造或损坏",
    "Line {line} of the heads file does not bear this installation's signature: forged or damaged",
)
BREAKS: dict[str, Pair] = {
    "changed": (
        "首处破坏：第 {seq} 条（记录 {entry_id}）内容或摘要被改动",
        "First broken row: number {seq} (entry {entry_id}) was changed",
    ),
    "missing": (
        "首处破坏：第 {seq} 条（记录 {entry_id}）缺失",
        "First broken row: number {seq} (entry {entry_id}) is missing",
    ),
    "unqueued": (
        "首处破坏：记录 {entry_id} 既未封存，也不在待封存队列中，已脱离链条，改动无从察觉",
        "First broken row: entry {entry_id} is neither sealed nor queued for the sealer: it was left out of "
        "the chain, and nothing would show a change of it",
    ),
    "tail_cut": (
        "首处破坏：自第 {seq} 条起的尾部被截去，而签名证明其存在过",
        "First broken row: from number {seq} on the tail was cut off; a signed head shows it",
    ),
    "head_mismatch": (
        "首处破坏：第 {seq} 条（记录 {entry_id}）的摘要与签名不符，该条或之前的内容被重写",
        "First broken row: number {seq} (entry {entry_id}) has another digest than its signed head: "
        "it, or what comes before it, was rewritten",
    ),
}


def breaks_of(found: Verification[Break]) -> list[Pair]:
    """What is wrong, in both languages; nothing if the journal is whole."""
    told: list[Pair] = []
    if found.broken:
        facts = {"seq": found.broken.seq or "-", "entry_id": found.broken.entry_id or "-"}
        zh, en = BREAKS[found.broken.why]
        told.append((zh.format_map(facts), en.format_map(facts)))
    if found.forged_head_line:
        zh, en = FORGED
        told.append((zh.format(line=found.forged_head_line), en.format(line=found.forged_head_line)))
    return told
