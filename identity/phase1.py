"""What the phase-1 cloud carries. Its totals are published; the split over bureaus is illustrative."""

import csv
import io
from dataclasses import dataclass

from identity.data import PHASE1


@dataclass(frozen=True)
class Phase1Group:
    """`count` equal servers of one information system; sizes are of one server."""

    bureau_code: str
    bureau_name: str
    level: str
    system: str
    mlps_grade: int
    flavor: str
    count: int
    vcpus: int
    ram_mib: int
    root_gib: int
    volume_gib: int

    @property
    def storage_gib(self) -> int:
        """Root disks and volumes of all servers of the group."""
        return self.count * (self.root_gib + self.volume_gib)


def parse_phase1(text: str) -> tuple[Phase1Group, ...]:
    """The groups in `text`, a CSV headed by the field names above. Raises: KeyError, ValueError."""
    return tuple(
        Phase1Group(
            bureau_code=row["bureau_code"],
            bureau_name=row["bureau_name"],
            level=row["level"],
            system=row["system"],
            mlps_grade=int(row["mlps_grade"]),
            flavor=row["flavor"],
            count=int(row["count"]),
            vcpus=int(row["vcpus"]),
            ram_mib=int(row["ram_mib"]),
            root_gib=int(row["root_gib"]),
            volume_gib=int(row["volume_gib"]),
        )
        for row in csv.DictReader(io.StringIO(text, newline=""))
    )


def read_phase1() -> tuple[Phase1Group, ...]:
    """The groups of the product's own copy."""
    return parse_phase1(PHASE1.read_text(encoding="utf-8"))
