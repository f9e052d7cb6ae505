"""What was measured and is kept for docs/results.md: lines, where and when they came about, and which are stale."""
