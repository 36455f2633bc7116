# pysot on NVIDIA GPUs. The host needs the driver and the NVIDIA Container Toolkit; CUDA is a part of torch's packages.
#   docker build -f test/docker/cuda.Dockerfile -t pysot:cuda .
#   docker run --rm --gpus all --shm-size=16g -v "$PWD/data:/home/pysot/data" pysot:cuda python tools/doctor.py --run
# TORCH_INDEX: empty for the build of pip's own index, or the index of another CUDA version.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
FROM ${PYTHON_IMAGE}

ARG TORCH_INDEX=
ARG USER_ID=1000
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Triton compiles its kernels (depth-wise correlation, TRAIN.COMPILE) with the C compiler of the container. Debian keeps
# no older versions of a package, so that a pinned one soon cannot be installed.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid "${USER_ID}" pysot
WORKDIR /home/pysot/pysot
# The packages are a layer of their own, which a change of the code does not build again.
COPY requirements.txt test/docker/install.sh ./
RUN TORCH_INDEX="${TORCH_INDEX}" bash install.sh cuda && rm install.sh && chown pysot .
COPY --chown=pysot . .

USER ${USER_ID}
CMD ["python", "tools/doctor.py", "--run"]
