"""What Triton and the proxy before it are told."""

from typing import Final

from trainpush.api.inferenceservice import Batching
from trainpush.api.quantity import microseconds

SERVER_PORT: Final = 8000
"""Port of Triton's HTTP endpoint."""
GRPC_PORT: Final = 8001
"""Port of its gRPC endpoint."""
METRICS_PORT: Final = 8002
"""Port of its metrics."""
PROXY_PORT: Final = 8080
"""Port that gets the requests of clients."""
SOFT_STOP_SECONDS: Final = 30
"""Longest time that the proxy, once told to stop, waits for answers and for clients to notice."""
EXIT_SECONDS: Final = 10
"""Longest time that Triton, once told to stop, waits for what it still computes."""

_OF_MODEL = "infer|ready|config|stats|generate|generate_stream"
CLIENT_PATHS: Final = f"^/v2(/health/(live|ready)|/models/[^/]+(/versions/[^/]+)?(/({_OF_MODEL}))?)?/?$"
"""Paths of the server that clients reach."""

PROXY: Final = f"""\
global
    maxconn 4096
    nbthread 2
    hard-stop-after {SOFT_STOP_SECONDS}s

defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    # Longer than the usual client keeps an idle connection, so that none is closed just when it is used again.
    timeout http-keep-alive 10m
    # A soft stop says "Connection: close" with the next answer, instead of closing a connection that seems idle.
    option idle-close-on-response
    # A connection to the server that broke while it was idle is not the client's business.
    retry-on conn-failure empty-response

listen model
    bind :{PROXY_PORT}
    # What clients need, and nothing that changes the server or shows its logs.
    http-request deny unless {{ path -m reg {CLIENT_PATHS} }}
    server triton 127.0.0.1:{SERVER_PORT}
"""
"""haproxy.cfg: what lets a replica go without a failed request."""


def config(name: str, batching: Batching | None) -> str:
    """Our lines of config.pbtxt: the model's name, and how requests are joined."""
    lines = [f'name: "{name}"', f"max_batch_size: {batching.max_batch_size if batching else 0}"]
    if batching:
        sizes = [f"  preferred_batch_size: {size}" for size in sorted(batching.preferred)]
        delay = microseconds(batching.max_queue_delay) if batching.max_queue_delay else 0
        lines += ["dynamic_batching {", *sizes, f"  max_queue_delay_microseconds: {delay}", "}"]
    return "\n".join(lines) + "\n"


def options(repository: str) -> list[str]:
    """Command of the server, before the user's options."""
    return [
        "tritonserver",
        f"--model-repository={repository}",
        f"--http-port={SERVER_PORT}",
        f"--grpc-port={GRPC_PORT}",
        f"--metrics-port={METRICS_PORT}",
        "--model-control-mode=none",
        f"--exit-timeout-secs={EXIT_SECONDS}",
        # Else tables of settings push the one line that says why a model does not load out of what a status keeps.
        "--log-info=false",
    ]


def ready_path(model: str) -> str:
    """Path that answers 200 once the model is loaded."""
    return f"/v2/models/{model}/ready"
