"""Where a gang goes: room counted per node and domain, and the best assignment in it."""
