# pysot on a CPU: training, tracking, scores, exports, without a compiler.
#   docker build -f test/docker/cpu.Dockerfile -t pysot:cpu .
#   docker run --rm --shm-size=8g -v "$PWD/data:/home/pysot/data" pysot:cpu python tools/train.py --help
# Loader processes pass batches in shared memory, hence --shm-size. TORCH_INDEX has torch's builds for CPUs; with an
# empty one pip takes torch from its own index, which on x86 is a build for CUDA.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
FROM ${PYTHON_IMAGE}

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG USER_ID=1000
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

RUN useradd --create-home --uid "${USER_ID}" pysot
WORKDIR /home/pysot/pysot
# The packages are a layer of their own, which a change of the code does not build again.
COPY requirements.txt test/docker/install.sh ./
RUN TORCH_INDEX="${TORCH_INDEX}" bash install.sh cpu && rm install.sh && chown pysot .
COPY --chown=pysot . .

USER ${USER_ID}
CMD ["python", "tools/doctor.py"]
