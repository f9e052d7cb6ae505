"""What should happen: pure functions from a snapshot to a plan."""
