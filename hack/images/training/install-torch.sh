#!/bin/sh
# Installs Debian's torch for CPUs and the digits data set, and removes what training on a CPU never loads.
set -eu

# Documentation, manuals and translations are left out while the packages are unpacked.
cat > /etc/dpkg/dpkg.cfg.d/slim <<'SLIM'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/lib/libtorch-test/*
SLIM
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3-numpy python3-torch

# scikit-learn carries the UCI handwritten digits; only that file of it is needed.
cd /tmp
apt-get download python3-sklearn
dpkg-deb --extract python3-sklearn_*.deb sklearn
mkdir -p /opt/trainpush/examples
mv sklearn/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz /opt/trainpush/examples/
rm -r sklearn python3-sklearn_*.deb

# Debian builds torch without libuv, which torch's own calls ask for: some unless told otherwise, some always.
torch=/usr/lib/python3/dist-packages/torch
cd $torch/distributed
rendezvous="elastic/rendezvous/static_tcp_rendezvous.py elastic/rendezvous/c10d_rendezvous_backend.py
    elastic/rendezvous/dynamic_rendezvous.py"
sed -i 's/^ *multi_tenant=True,$/& use_libuv=False,/' $rendezvous
sed -i 's/^ *is_master=False,$/& use_libuv=False,/; s/"USE_LIBUV", "1"/"USE_LIBUV", "0"/' rendezvous.py
sed -i 's/"USE_LIBUV", "1"/"USE_LIBUV", "0"/' elastic/utils/distributed.py
for file in $rendezvous rendezvous.py; do grep -q use_libuv=False $file; done
grep -q '"USE_LIBUV", "0"' rendezvous.py
grep -q '"USE_LIBUV", "0"' elastic/utils/distributed.py

# ROCm and LLVM come with the MPI packages and are loaded only where there is an AMD GPU.
lib=/usr/lib/x86_64-linux-gnu
rm -f $lib/libLLVM* $lib/libamd_comgr* $lib/libamdhip64* $lib/libhsa-runtime64*
find $torch/bin -type f ! -name torch_shm_manager -delete
find /usr/lib -name '*.a' -delete
find /usr/lib/python3 -type d -name tests -prune -exec rm -r {} +
rm -rf $torch/include /usr/include /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/* /tmp/*
