#!/bin/sh
# What kind's own base image does to a Debian, but for programs that come from elsewhere.
set -eu
chmod 0755 /usr/local/bin/* /kind/bin/*
find /kind /etc/containerd /etc/default /etc/sysctl.d /etc/systemd/system -type d -exec chmod 0755 {} +
ln -sf /usr/bin/containerd /usr/bin/ctr /usr/local/bin/
mkdir -p /opt/cni /etc/kubernetes/manifests
ln -sfn /usr/lib/cni /opt/cni/bin
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
kubeadm version --output=short > /kind/version
ctr oci spec | jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
    > /etc/containerd/cri-base.json
# Without CAP_SYS_RESOURCE, as in many a sandbox, no pod could be protected from the kernel's memory killer.
pause=$(kubeadm config images list --kubernetes-version="$(cat /kind/version)" | grep /pause:)
sed -i -e "s|sandbox_image = .*|sandbox_image = \"$pause\"|" \
    -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
sed -i 's|^KUBELET_EXTRA_ARGS=|&--config-dir=/etc/kubernetes/kubelet.conf.d |' /etc/default/kubelet
