"""Tags and names that every cloud takes, whichever driver is asked."""

import re
import unicodedata

Fault = tuple[str, str]
"""What is wrong, in Chinese and English."""

TAG = re.compile(r"[A-Za-z0-9._:-]{1,60}")
PROJECT_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
NAME_LENGTH = 255


def find_fault(*, tag: str, name: str = "-") -> Fault | None:
    """Why a cloud would not take them, or None."""
    if not TAG.fullmatch(tag):
        return (
            f"标识 {tag!r} 须为 1–60 个字母、数字或 . _ : -",
            f"the tag {tag!r} is not 1–60 of A–Z a–z 0–9 . _ : -",
        )
    unprintable = any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name)
    if name != name.strip() or not 0 < len(name) <= NAME_LENGTH or unprintable:
        return (
            f"名称 {name!r} 须为 1–{NAME_LENGTH} 个可见字符，首尾无空格",
            f"the name {name!r} is not 1–{NAME_LENGTH} printable characters without space at the ends",
        )
    return None


def find_reason_fault(reason: str) -> Fault | None:
    """Why a cloud would not keep the reason beside a host, or None."""
    if not 0 < len(reason) <= NAME_LENGTH:
        return (f"原因须为 1–{NAME_LENGTH} 个字符", f"the reason is not 1–{NAME_LENGTH} characters")
    return None


def find_project_fault(*, name: str, bureau_code: str, description: str) -> Fault | None:
    """Why a cloud would not take a bureau's project, or None."""
    if not PROJECT_NAME.fullmatch(name):
        return (
            f"项目名 {name!r} 须为 1–64 个字母、数字或 . _ -",
            f"the project's name {name!r} is not 1–64 of A–Z a–z 0–9 . _ -",
        )
    if not 0 < len(bureau_code) <= NAME_LENGTH or len(description) > NAME_LENGTH:
        return (
            f"单位代码须为 1–{NAME_LENGTH} 个字符，说明不超过 {NAME_LENGTH} 个字符",
            f"the bureau's code is not 1–{NAME_LENGTH} characters or the description has over {NAME_LENGTH}",
        )
    return None
