"""What leads to an API server and what does not, from real files."""

import json
import stat
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml
from kubernetes.config import incluster_config

from trainpush.kube.credentials import REREAD_SECONDS, Credentials, CredentialsError, load


def a_kubeconfig(folder: Path, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None) -> Path:
    """A kubeconfig with the contexts `here` (current) and `there`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {"token": "secret"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "home"}},
            {"name": "there", "context": {"cluster": "c"}},
        ],
        "current-context": "here",
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return path


def an_exec_plugin(folder: Path, script: str) -> dict[str, Any]:
    """A user who logs in by a shell script."""
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}


async def test_a_static_token(tmp_path: Path) -> None:
    """Server, namespace and token of the current context."""
    credentials = load(str(a_kubeconfig(tmp_path)))
    assert credentials.endpoint.server == "https://10.0.0.1:6443"
    assert credentials.endpoint.namespace == "home"
    assert await credentials.authorization() == "Bearer secret"


async def test_a_context_without_a_user(tmp_path: Path) -> None:
    """No header, the default namespace."""
    credentials = load(str(a_kubeconfig(tmp_path)), "there")
    assert await credentials.authorization() is None
    assert credentials.endpoint.namespace == "default"


def test_settings_of_the_cluster(tmp_path: Path) -> None:
    """Proxy, TLS name and the wish not to verify are kept."""
    path = a_kubeconfig(
        tmp_path,
        cluster={"proxy-url": "http://proxy:3128", "tls-server-name": "api", "insecure-skip-tls-verify": True},
    )
    endpoint = load(str(path)).endpoint
    assert (endpoint.proxy_url, endpoint.tls_server_name, endpoint.insecure) == ("http://proxy:3128", "api", True)


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG may list several files; those that are absent are skipped, as kubectl does."""
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{a_kubeconfig(tmp_path)}")
    assert load().endpoint.server == "https://10.0.0.1:6443"


async def test_a_rotated_token_file_is_read_again(tmp_path: Path) -> None:
    """After a while, and at once when the server refused the old token; the path is relative to the kubeconfig."""
    token = tmp_path / "token"
    token.write_text("first\n")
    credentials = load(str(a_kubeconfig(tmp_path, user={"tokenFile": "token"})))
    token.write_text("second\n")
    assert await credentials.authorization() == "Bearer first"
    credentials.expire()
    assert await credentials.authorization() == "Bearer second"


async def test_a_lost_token_file_leaves_the_last_token(tmp_path: Path) -> None:
    """The server decides whether it still holds."""
    token = tmp_path / "token"
    token.write_text("first")
    credentials = load(str(a_kubeconfig(tmp_path, user={"tokenFile": str(token)})))
    token.unlink()
    credentials.expire()
    assert await credentials.authorization() == "Bearer first"


async def test_the_source_is_asked_again_after_a_while(tmp_path: Path) -> None:
    """Not at every request, and not never."""
    known = load(str(a_kubeconfig(tmp_path)))
    now = 0.0
    values = iter(["first", "second"])
    credentials = Credentials(known.endpoint, known.ssl_context, lambda: next(values), clock=lambda: now)
    now = REREAD_SECONDS - 1
    assert await credentials.authorization() == "first"
    now = REREAD_SECONDS
    assert await credentials.authorization() == "second"


async def test_an_exec_plugin_is_run_again_when_its_token_expires(tmp_path: Path) -> None:
    """The token of the second run replaces the expired one of the first."""
    answer = json.dumps(
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": "run-COUNT", "expirationTimestamp": "2020-01-01T00:00:00Z"},
        }
    )
    count = tmp_path / "count"
    script = f"echo >> {count}; echo '{answer}' | sed s/COUNT/$(wc -l < {count})/"
    credentials = load(str(a_kubeconfig(tmp_path, user=an_exec_plugin(tmp_path, script))))
    first = await credentials.authorization()
    credentials.expire()
    second = await credentials.authorization()
    assert first is not None
    assert second is not None
    assert int(second.removeprefix("Bearer run-")) > int(first.removeprefix("Bearer run-"))


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a pod has from its ServiceAccount."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    (tmp_path / "token").write_text("projected")
    (tmp_path / "namespace").write_text("trainpush")
    (tmp_path / "ca.crt").write_bytes(Path(certifi.where()).read_bytes())
    return tmp_path


async def test_in_a_pod(service_account: Path) -> None:
    """Server from the environment, namespace and token from the ServiceAccount, which is read again."""
    credentials = load()
    assert credentials.endpoint.server == "https://[fd00::1]:443"
    assert credentials.endpoint.namespace == "trainpush"
    assert await credentials.authorization() == "Bearer projected"
    (service_account / "token").write_text("renewed")
    credentials.expire()
    assert await credentials.authorization() == "Bearer renewed"


def test_in_a_pod_without_a_token(service_account: Path) -> None:
    """The remedy names the field of the pod."""
    (service_account / "token").unlink()
    with pytest.raises(CredentialsError, match=r"in-cluster ServiceAccount: .*token.*automountServiceAccountToken"):
        load()


def with_text(text: str) -> Any:
    """A file with this text."""

    def write(folder: Path) -> Path:
        path = folder / "config"
        path.write_text(text)
        return path

    return write


def binary(folder: Path) -> Path:
    """Bytes that are no text."""
    path = folder / "config"
    path.write_bytes(bytes(range(256)))
    return path


def empty_token(folder: Path) -> Path:
    """A user with an empty token file."""
    (folder / "token").write_text("\n")
    return a_kubeconfig(folder, user={"tokenFile": "token"})


BROKEN = {
    "no such file": (lambda folder: folder / "absent", "absent: no such file; name the right file"),
    "a folder": (lambda folder: folder, "Is a directory"),
    "broken YAML": (with_text("clusters: []\nusers: [\n"), r"not valid YAML \(line 3\)"),
    "a list": (with_text("- a\n"), "not a kubeconfig"),
    "empty": (with_text(""), "file is empty"),
    "no contexts": (with_text("clusters: []\n"), "no current-context"),
    "numbers where maps belong": (with_text("clusters: 3\ncontexts: 4\n"), "not a kubeconfig"),
    "not text": (binary, "not a kubeconfig|not valid YAML"),
    "unknown cluster": (
        with_text("contexts: [{name: a, context: {cluster: b}}]\ncurrent-context: a\nclusters: []\n"),
        "name b in .*clusters list",
    ),
    "absent CA": (
        lambda folder: a_kubeconfig(folder, cluster={"certificate-authority": "ca.crt"}),
        r"ca\.crt; name the right file",
    ),
    "CA that is no certificate": (
        lambda folder: a_kubeconfig(folder, cluster={"certificate-authority-data": "Z2FyYmFnZQ=="}),
        "a certificate or key in it is unusable",
    ),
    "key that is no key": (
        lambda folder: a_kubeconfig(
            folder, user={"client-certificate-data": "Z2FyYmFnZQ==", "client-key-data": "Z2FyYmFnZQ=="}
        ),
        "a certificate or key in it is unusable",
    ),
    "absent token file": (
        lambda folder: a_kubeconfig(folder, user={"tokenFile": "gone"}),
        "gone: No such file",
    ),
    "empty token file": (empty_token, "token file .* is empty"),
    "failing exec plugin": (
        lambda folder: a_kubeconfig(folder, user=an_exec_plugin(folder, "exit 1")),
        "exec plugin '.*plugin' gave no credentials; run it by hand",
    ),
    "absent exec plugin": (
        lambda folder: a_kubeconfig(
            folder, user={"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/absent"}}
        ),
        "exec plugin '/absent' gave no credentials",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_configuration_is_one_line(case: str, tmp_path: Path) -> None:
    """It names the file and what is wrong, whatever the library raised."""
    build, expected = BROKEN[case]
    with pytest.raises(CredentialsError, match=expected) as caught:
        load(str(build(tmp_path)))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_context_names_the_known_ones(tmp_path: Path) -> None:
    """So that a typo is found at once."""
    with pytest.raises(CredentialsError, match="no context 'hre'; it has here, there"):
        load(str(a_kubeconfig(tmp_path)), "hre")
