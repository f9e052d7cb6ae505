"""`python -m record`: every story, when it was recorded, and whether it is stale."""

import re
import subprocess
import sys

from record.lines import STORIES, recorded
from record.sources import ROOT, is_stale


def main() -> None:
    """Print one line for each story that there is."""
    known = {line["name"]: line for line in recorded(STORIES)}
    found = names()
    width = max(map(len, found), default=0)
    for name in found:
        line = known.get(name)
        state = f"{line['date']} {line['commit']} {line['seconds']:.0f} s" if line else "not recorded"
        print(f"{name:<{width}}  {state}{', stale' if line and is_stale(line) else ''}")


def names() -> list[str]:
    """The stories that pytest finds."""
    command = [sys.executable, "-m", "pytest", "tests", "-m", "story", "--collect-only", "-q", "--no-header"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.findall(r"::test_(?:story_)?(\S+)$", lines, re.MULTILINE)


if __name__ == "__main__":
    main()
