# pysot on Ascend NPUs. The host needs driver and firmware; CANN (toolkit, kernels) is in the base image.
#   docker build -f test/docker/ascend.Dockerfile --build-arg CHIP=910b -t pysot:ascend .
#   docker run --rm --shm-size=16g --device /dev/davinci0 --device /dev/davinci_manager --device /dev/devmm_svm \
#     --device /dev/hisi_hdc -v /usr/local/dcmi:/usr/local/dcmi -v /usr/local/bin/npu-smi:/usr/local/bin/npu-smi \
#     -v /usr/local/Ascend/driver:/usr/local/Ascend/driver:ro -v /etc/ascend_install.info:/etc/ascend_install.info:ro \
#     -v "$PWD/data:/home/HwHiAiUser/data" pysot:ascend python tools/doctor.py --run
# One --device /dev/davinci<N> for each card. CHIP: 910 (910A), 910b (Atlas A2), a3 (Atlas A3), 310p. CANN_VERSION: the
# release notes of TorchNPU name the one of torch_npu; 9.1.0 is the newest that its COMPATIBILITY.md lists.
ARG CANN_VERSION=9.1.0
ARG CHIP=910b
ARG SYSTEM=ubuntu22.04-py3.12
FROM quay.io/ascend/cann:${CANN_VERSION}-${CHIP}-${SYSTEM}

# torch_npu needs the build of torch without CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The owner and the group of /dev/davinci* on the host: `stat -c '%u %g' /dev/davinci_manager`.
ARG USER_ID=1000
ARG GROUP_ID=1000
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

RUN (getent group "${GROUP_ID}" || groupadd --gid "${GROUP_ID}" HwHiAiUser) && \
    (getent passwd "${USER_ID}" || useradd --create-home --uid "${USER_ID}" --gid "${GROUP_ID}" HwHiAiUser)
WORKDIR /home/HwHiAiUser/pysot
# The packages are a layer of their own, which a change of the code does not build again.
COPY requirements.txt test/docker/install.sh ./
RUN TORCH_INDEX="${TORCH_INDEX}" PYTHON=python3 bash install.sh ascend && rm install.sh && \
    chown "${USER_ID}:${GROUP_ID}" .
COPY --chown=${USER_ID}:${GROUP_ID} . .

USER ${USER_ID}:${GROUP_ID}
CMD ["python3", "tools/doctor.py", "--run"]
