"""Why somebody waits: causes, numbers, holders, and the smallest change that would help."""
