"""The operator in a bed, as its users install it: image, chart, helm."""

from pathlib import Path

from testbed import KindBed, images

CHART = Path(__file__).parents[2] / "charts" / "trainpush"
NAMESPACE = "trainpush-system"


def install(bed: KindBed) -> None:
    """Install the chart, or upgrade to it, with the images of this working tree, and wait until every replica is ready.

    The bed needs real nodes.
    """
    for name in ("operator", "proxy"):
        bed.load_image(name)
    options = ("--wait", "--timeout=5m", "--create-namespace", f"--namespace={NAMESPACE}")
    bed.helm("upgrade", "--install", "trainpush", str(CHART), *options, *_values())


def _values() -> list[str]:
    repository, tag = images.reference("operator").split(":")
    return [
        f"--set=image.repository={repository}",
        f"--set=image.tag={tag}",
        "--set=image.pullPolicy=Never",
        f"--set=proxy.image={images.reference('proxy')}",
        # The tag never changes: this does with the image, and starts the pods anew.
        f"--set=podAnnotations.image={images.archive('operator').stem}",
    ]
