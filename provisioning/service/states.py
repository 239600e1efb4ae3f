"""The table of a server's working states: what each asks of the cloud, and what follows how that ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy.orm import Session

from provisioning.cloud.driver import Cloud
from provisioning.service import endings, visits
from provisioning.service.adoption_visit import adopt
from provisioning.service.endings import Ending
from provisioning.service.extend_visit import extend, measure
from provisioning.service.reboot_visit import reboot
from provisioning.service.work import Found, Work


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One working state.

    `visit` asks the cloud, or raises `CloudFailure`; once that is done, `end` writes down what is held and
    `done` follows. `broken` follows where the cloud cannot or will not; None: what is held stays held, so it
    is tried until it is done. Where the server is not in the cloud any more, `lose` writes that down and
    `gone` follows; None: no visit finds that. `undo` writes down that it broke, where nothing is to be undone
    in the cloud. `alarm`: what its bureau and the office are told when it
    breaks. `fenced`: its project's quota is brought up to date first.
    """

    visit: Callable[[Cloud, Work], Found]
    end: Callable[[Session, Ending], None]
    done: str
    broken: str | None
    gone: str | None = None
    lose: Callable[[Session, Ending], None] = endings.end_switch
    undo: Callable[[Session, Ending], None] = endings.end_switch
    alarm: str | None = None
    fenced: bool = False


RECLAIMABLE = ("active", "stopped", "stopping", "starting", "rebooting", "resetting")
RELEASABLE = (*RECLAIMABLE, "expiring")
"""States in which a server can be given up: at rest, or at what may never come to an end."""
_BUILD = Rule(visit=visits.build, end=endings.end_build, done="active", broken="cleaning", fenced=True)
_ADOPT = Rule(visit=adopt, end=endings.end_build, done="active", broken="failed", undo=endings.end_cleaning)
RULES: Mapping[str, Rule] = {
    "pending": _BUILD,
    "creating": _BUILD,
    "adopting": _ADOPT,
    "cleaning": Rule(visit=visits.dismantle, end=endings.end_cleaning, done="failed", broken=None),
    "attaching": Rule(
        visit=visits.build,
        end=endings.end_change,
        done="active",
        broken="pruning",
        gone="pruning",
        fenced=True,
    ),
    "pruning": Rule(
        visit=visits.prune,
        end=endings.end_prune,
        done="active",
        broken=None,
        gone="releasing",
        lose=endings.end_prune,
    ),
    "resizing": Rule(
        visit=visits.resize,
        end=endings.end_change,
        done="active",
        broken="reverting",
        gone="releasing",
        lose=endings.undo_resize,
        fenced=True,
    ),
    "reverting": Rule(
        visit=visits.revert,
        end=endings.end_revert,
        done="active",
        broken=None,
        gone="releasing",
        lose=endings.undo_resize,
    ),
    "extending": Rule(
        visit=extend,
        end=endings.end_extension,
        done="active",
        broken="measuring",
        gone="releasing",
        lose=endings.end_extension,
        fenced=True,
    ),
    "measuring": Rule(
        visit=measure,
        end=endings.end_extension,
        done="active",
        broken=None,
        gone="releasing",
        lose=endings.end_extension,
    ),
    "stopping": Rule(
        visit=visits.stop,
        end=endings.end_switch,
        done="stopped",
        broken="active",
        gone="releasing",
        alarm="server_not_stopped",
    ),
    "starting": Rule(
        visit=visits.start, end=endings.end_switch, done="active", broken="stopped", gone="releasing"
    ),
    "rebooting": Rule(
        visit=partial(reboot, hard=False),
        end=endings.end_switch,
        done="active",
        broken="active",
        gone="releasing",
    ),
    "resetting": Rule(
        visit=partial(reboot, hard=True),
        end=endings.end_switch,
        done="active",
        broken="active",
        gone="releasing",
    ),
    "expiring": Rule(
        visit=visits.keep_snapshot,
        end=endings.end_switch,
        done="releasing",
        broken="releasing",
        gone="releasing",
        alarm="server_without_snapshot",
    ),
    "releasing": Rule(visit=visits.dismantle, end=endings.end_release, done="released", broken=None),
}
PASSING = tuple(
    state
    for state, rule in RULES.items()
    if rule not in (_BUILD, _ADOPT) and rule.done in ("active", "stopped")
)
"""States that a server which was built leaves by itself for one at rest."""
