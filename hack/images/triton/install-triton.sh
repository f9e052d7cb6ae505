#!/bin/sh
# Installs numpy, and Triton from a wheel in which NVIDIA publishes it to be driven from Python.
set -eu

install="python3 -m pip install --no-cache-dir --no-deps --root-user-action=ignore"
# The last numpy that the backend can read: 2 laid its arrays out anew.
$install --break-system-packages numpy==1.26.4
$install --no-compile --target=/opt/triton nvidia-pytriton==0.7.0

# The server looks for its libraries relative to itself, so it stays where the wheel has it.
cd /opt/triton
find . -mindepth 1 -maxdepth 1 ! -name pytriton ! -name nvidia_pytriton.libs -exec rm -r {} +
find pytriton -mindepth 1 -maxdepth 1 ! -name tritonserver -exec rm -r {} +
rm nvidia_pytriton.libs/libpython3-*
cd pytriton/tritonserver
mv python_backend_stubs/3.11/triton_python_backend_stub backends/python/
rm -r python_backend_stubs
chmod 755 bin/tritonserver backends/python/triton_python_backend_stub
ln -s "$PWD" /opt/tritonserver
