#!/bin/sh
# Put the image of the control plane into containerd's store, under every name that kubeadm asks for. Nothing is
# unpacked, which would need mounts.
set -eu
containerd > /tmp/containerd.log 2>&1 & containerd=$!
until ctr version > /dev/null 2>&1; do kill -0 "$containerd"; sleep 0.1; done
images() { ctr --namespace=k8s.io images "$@"; }
images import --all-platforms --no-unpack --digests /import/control-plane.tar > /dev/null
source=$(images list --quiet | grep control-plane:)
for name in $(/import/kubeadm config images list --kubernetes-version="$(/import/kubeadm version --output=short)"); do
    images tag "$source" "$name"
done
kill "$containerd"
wait "$containerd" || true
