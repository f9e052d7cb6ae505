"""Where a gang goes: how many workers each node and domain holds, and the best assignment there."""
