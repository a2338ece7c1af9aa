"""Docker: Snapshot → Stack. The only room that imports docker."""
