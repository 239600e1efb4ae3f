"""Runs the named benchmarks, or all, and ends with status 1 where a goal was missed."""

import sys
from importlib import import_module

from bench.tables import Measured, show

BENCHMARKS = ("claims", "imports", "report")
LONG = ("exchange", "publish", "relaying", "openstack", "openstack_large")
"""Only when named: they take an engine or a whole lab of their own, some of them many minutes."""


def main(names: list[str]) -> int:
    """Each benchmark is a module of this package with `measure() -> list[Measured]`."""
    if unknown := set(names) - {*BENCHMARKS, *LONG}:
        known = ", ".join((*BENCHMARKS, *LONG))
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {known}")
        return 2
    tables: list[Measured] = []
    for name in names or BENCHMARKS:
        for measured in import_module(f"bench.{name}").measure():
            print(show(measured), flush=True)
            print()
            tables.append(measured)
    return 0 if all(goal.is_met for table in tables for goal in table.goals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
