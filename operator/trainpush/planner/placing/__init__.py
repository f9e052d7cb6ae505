"""Where a gang goes: room counted per node and domain, and the best site in it."""
