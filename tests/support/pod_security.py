"""Which pods a governed namespace lets in: Pod Security `restricted`, and quotas that want limits of every container.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
    "secret",
}
PROFILES = {"RuntimeDefault", "Localhost"}


def complaints(pod: Manifest) -> list[str]:
    """Why a pod with this spec would be refused; empty where it is let in."""
    whole = pod.get("securityContext", {})
    return [
        *(f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)),
        *(f"volume {it['name']} is of another kind" for it in pod.get("volumes", []) if not VOLUMES & it.keys()),
        *(
            f"{container['name']}: {said}"
            for container in [*pod.get("initContainers", []), *pod["containers"]]
            for said in (*_insecure(container, whole), *_unlimited(container))
        ),
    ]


def _insecure(container: Manifest, whole: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    inherited = {**whole, **own}
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities are not dropped"
    if inherited.get("runAsNonRoot") is not True or inherited.get("runAsUser") == 0:
        yield "may run as root"
    if inherited.get("seccompProfile", {}).get("type") not in PROFILES:
        yield "has no seccomp profile"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "has a port of the host"


def _unlimited(container: Manifest) -> Iterator[str]:
    resources = container.get("resources", {})
    for part in ("requests", "limits"):
        for name in ("cpu", "memory"):
            # A limit counts as a request.
            if name not in {**(resources.get("limits", {}) if part == "requests" else {}), **resources.get(part, {})}:
                yield f"has no {part}.{name}"
