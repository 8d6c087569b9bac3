# The image for training: JAX, which brings CUDA's libraries, eight gigabytes in all.
#
#   docker build --file training.Dockerfile --tag training .
#
# A file of its own, because the builder of `gcloud run deploy --source` runs every stage of a Dockerfile. TensorFlow is there for
# checkpoints and for `--trainer gpt-2-simple`, and computes on the processor.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/venv
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/gpu.txt /requirements/
RUN pip install --quiet --no-deps --require-hashes --requirement /requirements/gpu.txt
WORKDIR /source
COPY app/__init__.py app/bounded_adapter.py app/errors.py app/
COPY app/engine app/engine
COPY finetune finetune
ENTRYPOINT ["python3", "-m", "finetune"]
