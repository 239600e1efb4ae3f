"""The items (事项) that this product ships, as data: items.json."""
