"""What each figure of a capacity report means in each view, and how a row adds up. No figure is made here."""

import pandas as pd

from infra.errors import Language

Pair = tuple[str, str]

IN_FLIGHT: Pair = (
    "其中在途：已占用额度、尚未交付的资源，含在已用之内。",
    "Of it in flight: claimed and not yet delivered; it is part of used.",
)
EXCESS: Pair = ("余量为负表示超出，如冻结后。", "A headroom below zero is an excess, as after a freeze.")
FREEZE: Pair = (
    "有冻结的，余量按冻结上限计，可能少于上式。",
    "Where there is a freeze, its limit counts, and the headroom may be less.",
)
ILLUSTRATIVE: Pair = (
    "示例城市：一期 262 台云服务器、1,332 vCPU、273 T 存储为公开数字，"
    "在各单位与各系统间的拆分为示意，并非真实数据。",
    "Sample city: the totals of phase 1 are published; "
    "how they split over bureaus and systems is illustrative.",
)
NOTES: dict[str, tuple[Pair, ...]] = {
    "region": (
        (
            "可分配容量 =（总量 − 平台预留）× 超配比，逐节点向下取整；"
            "留有主机故障余量的区域，再减去最大的一台主机。",
            "Capacity = (inventory − reserved) × ratio (of over-commitment), rounded down for each provider; "
            "less the largest host in a region that keeps room for its failure.",
        ),
        (
            "已下达：区域下达给顶级单位的配额。已用：全区域的占用。余量 = 可分配容量 − 已用。",
            "Granted: to the top bureaus. Used: in the whole region. Headroom = capacity − used.",
        ),
        IN_FLIGHT,
        EXCESS,
    ),
    "region within": (
        (
            "已下达：该单位的配额。已用：该单位及以下的占用。余量 = 已下达 − 已用。",
            "Granted: to the bureau. Used: by it and those below it. Headroom = granted − used.",
        ),
        FREEZE,
        IN_FLIGHT,
        EXCESS,
    ),
    "level": (
        (
            "已下达：从本层级之外下达到本层级的配额。已用：本层级单位自用。下级占用：其下各层级单位已用。",
            "Granted: to the level from outside it. Used: by bureaus of the level itself. "
            "Held below: used by those of the levels below them.",
        ),
        ("余量 = 已下达 − 已用 − 下级占用。", "Headroom = granted − used − held below."),
        FREEZE,
        IN_FLIGHT,
        EXCESS,
    ),
    "bureau": (
        (
            "已下达：本单位的配额。已用：本单位自用。下级占用：已划给下级的配额；共享模式下，为下级已用。",
            "Granted: the quota of the bureau. Used: by itself. "
            "Held below: granted on to those below it, or in shared mode used by them.",
        ),
        (
            "余量 = 已下达 − 已用 − 下级占用。上级为共享模式或被冻结的，实际可用可能更少。",
            "Headroom = granted − used − held below. Bureaus above that share or are frozen may let less.",
        ),
        FREEZE,
        IN_FLIGHT,
        EXCESS,
    ),
    "system": (IN_FLIGHT,),
}


def notes_of(report: pd.DataFrame, *, by: str, language: Language, sample: bool = False) -> list[str]:
    """The notes of this view, a line each; in the sample city the first says what is illustrative."""
    is_of_part = by == "region" and "capacity" not in report.columns
    notes = NOTES["region within" if is_of_part else by]
    return [zh if language == "zh" else en for zh, en in ((ILLUSTRATIVE,) if sample else ()) + notes]
