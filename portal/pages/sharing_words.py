"""The words of shared data as the pages' templates take them."""

from typing import Any

from exchange import wording
from portal.pages.filter_fields import filter_rows

SHARING: dict[str, Any] = {
    "share_types": wording.SHARE_TYPES,
    "update_modes": wording.UPDATE_MODES,
    "sensitivities": wording.SENSITIVITIES,
    "types": wording.TYPES,
    "levels": wording.LEVELS,
    "states": wording.SUBSCRIPTION_STATES,
    "ways": wording.WAYS,
    "topic_states": wording.TOPIC_STATES,
    "masks": wording.MASKS,
    "mask_words": wording.mask_words,
    "hook_states": wording.HOOK_STATES,
    "recall_answers": wording.RECALL_ANSWERS,
    "hook_faults": wording.HOOK_FAULTS,
    "operators": wording.OPERATORS,
    "filter_words": wording.filter_words,
    "filter_rows": filter_rows,
}
