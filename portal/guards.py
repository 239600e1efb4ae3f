"""Who above identity/ has a word when the tree or a system's owner changes, wired once for all faces."""

from identity.guard import SystemGuard, TreeGuard
from provisioning.service.tree import QuotaGuard

TREE_GUARDS: tuple[TreeGuard, ...] = (QuotaGuard(),)
SYSTEM_GUARDS: tuple[SystemGuard, ...] = (QuotaGuard(),)
