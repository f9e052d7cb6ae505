"""Whom to take away so that a gang fits: the least lost work, never one more than needed."""
