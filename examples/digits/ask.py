"""Ask a served digits model for the images that training held out, and print how many it gets right.

The answers come over HTTP by the v2 inference protocol; the labels stay here. Prints one line of JSON: images, right
answers, accuracy, the digits that were answered (as one string), and the seconds that it took.

Exit status: 0 every request was answered, 1 one was not.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.parse
from pathlib import Path

import numpy as np

TRAINING_IMAGES = 1437  # as in digits.py: the other 360 of 1,797 are held out


def main() -> None:
    """Ask for all held-out images, some at a time."""
    options = parse_options()
    images, labels = held_out(options.data)
    started = time.monotonic()
    try:
        digits = np.concatenate(
            [ask(options, images[i : i + options.rows]) for i in range(0, len(images), options.rows)]
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        sys.exit(f"ask.py: {options.url}: {error}")
    right = int((digits == labels).sum())
    print(json.dumps({
        "images": len(labels),
        "right": right,
        "accuracy": round(right / len(labels), 4),
        "digits": "".join(map(str, digits)),
        "seconds": round(time.monotonic() - started, 3),
    }))  # fmt: skip


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Ask a model server for the digits on images that it never saw.")
    parser.add_argument("url", help="such as http://digits.default.svc")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--rows", type=int, default=30, help="images in one request")
    parser.add_argument("--data", type=Path, default=Path(__file__).with_name("digits.csv.gz"), metavar="FILE")
    return parser.parse_args()


def held_out(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (rows of 64 pixels in 0..1) and digits that digits.py does not train on."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(0).permutation(len(table))][TRAINING_IMAGES:]
    return table[:, :64] / 16, table[:, 64].astype(np.int64)


def ask(options: argparse.Namespace, images: np.ndarray) -> np.ndarray:
    """Return the digits that the server sees on `images` (n x 64)."""
    entry = {"name": "IMAGE", "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}
    address = urllib.parse.urlsplit(options.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=30)
    connection.request("POST", f"/v2/models/{options.model}/infer", json.dumps({"inputs": [entry]}))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise ValueError(f"{answer.status} {body[:300].decode(errors='replace')}")
    output = json.loads(body)["outputs"][0]
    return np.array(output["data"], dtype=np.float32).reshape(output["shape"]).argmax(axis=1)


if __name__ == "__main__":
    main()
