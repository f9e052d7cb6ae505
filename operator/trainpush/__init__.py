"""trainpush: one pool of GPU nodes trains and serves."""

__version__ = "0.1.0"
