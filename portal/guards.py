"""Who above identity/ has a word when the tree or a system's owner changes, wired once for all faces."""

from exchange.service.guard import SharingGuard
from identity.guard import SystemGuard, TreeGuard
from provisioning.service.tree import QuotaGuard

TREE_GUARDS: tuple[TreeGuard, ...] = (QuotaGuard(), SharingGuard())
SYSTEM_GUARDS: tuple[SystemGuard, ...] = (QuotaGuard(), SharingGuard())
