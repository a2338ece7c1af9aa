"""What proves that the shop still sells: flows in a real browser, what the shop says, pictures, logs, and the verdict over them."""
