"""The chart as helm sees it."""

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from testbed import builds

Object = dict[str, Any]
ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "trainpush"
VALUES: Final = ROOT / "tests" / "chart" / "values"
NAMESPACE: Final = "trainpush-system"
KUBERNETES: Final = "1.36"
"""Version for which manifests are rendered where no cluster is asked."""
WITH_IMAGE: Final = '--set-json=image.repository="registry.example/trainpush"'
"""The one value without a default."""


class HelmError(Exception):
    """What helm said when it refused."""


def helm(*arguments: str | Path) -> str:
    """Run helm without a cluster.

    Raises:
        HelmError: it refused.
    """
    command = [str(builds.binary("helm")), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise HelmError(answer.stderr + answer.stdout)
    return answer.stdout


def render(*options: str, chart: Path = CHART) -> list[Object]:
    """Every manifest of a release with these options."""
    text = helm("template", "release", chart, f"--namespace={NAMESPACE}", f"--kube-version={KUBERNETES}", *options)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def the(kind: str, manifests: list[Object], name: str = "") -> Object:
    """The only one of its kind, or the one with this name."""
    (found,) = (one for one in manifests if one["kind"] == kind and name in ("", one["metadata"]["name"]))
    return found
