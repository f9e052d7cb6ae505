"""When it happens: kopf, the loop, settings and wiring."""
