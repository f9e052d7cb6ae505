"""The image of kind's nodes: the one that is given, else kind's own where it can be had, else ours."""

import functools
import os

from . import engine, images
from .report import step

VARIABLE = "TRAINPUSH_KIND_NODE_IMAGE"
KINDS_OWN = "kindest/node:v1.37.0"
"""What the pinned version of kind takes where nobody says otherwise."""


@functools.cache
def is_ours() -> bool:
    """Whether none is given and kind's own cannot be had; asks the registry once."""
    there = engine.current()
    return VARIABLE not in os.environ and not there.has_image(KINDS_OWN) and not there.pulls(KINDS_OWN)


def name() -> str:
    """Its name in the engine that runs, into which ours is loaded if need be."""
    if not is_ours():
        return os.environ.get(VARIABLE, KINDS_OWN)
    there, archive = engine.current(), images.archive("node")
    tag = f"trainpush.local/{archive.stem.replace('-', ':', 1)}"
    if not there.has_image(tag):
        step("loading the image of nodes into the engine")
        for old in there.docker("images", "--quiet", "trainpush.local/node").split():
            there.docker("rmi", "--force", old)
        there.docker("load", f"--input={archive}")
        there.docker("tag", images.reference("node"), tag)
    return tag
