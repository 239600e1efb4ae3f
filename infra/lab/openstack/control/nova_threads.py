"""Nova on native threads: to be imported before anything else of Nova is."""

from nova import monkey_patch

monkey_patch.patch(backend="threading")
