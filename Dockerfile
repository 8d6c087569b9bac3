# The container that Cloud Run starts: the app, its packages, and one bundle, by default the one that `export` made last.
#
#   make image                                builds it with docker, podman or buildah
#   gcloud run deploy NAME --source .         builds the same on Google Cloud
#
# What changes least comes first, and the stage that makes the bundle copies only what it needs. So a change of a route or of the
# page rebuilds neither the packages nor the bundle. Google's builder runs every stage, so there is none that the last one does not
# need: training.Dockerfile is a file of its own.

ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log /usr/share/doc
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH

FROM python AS pip
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && python3 -m venv /opt/venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# ENGINE=tensorflow builds the reference image, which serves checkpoint/run1 with gpt-2-simple itself.
FROM pip AS packages
ARG ENGINE=onnx
COPY requirements/container.txt requirements/training.txt /requirements/
# Removed: a second copy of ONNX Runtime for C programs, its tools, and NumPy's tests. Python files are compiled here, because
# a container with a read-only file system could not keep what Python compiles at its start.
RUN if [ "$ENGINE" = tensorflow ]; then name=training; else name=container; fi \
    && pip install --quiet --no-deps --require-hashes --requirement /requirements/$name.txt \
    && pip uninstall --quiet --yes pip setuptools \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf onnxruntime/capi/libonnxruntime.so.* onnxruntime/datasets onnxruntime/quantization onnxruntime/tools \
      onnxruntime/transformers \
    && find numpy -type d -name tests -prune -exec rm -r {} + \
    && python3 -m compileall -q /opt/venv/lib

# The bundle: models/$MODEL if it is given, else the one that models/DEFAULT names, else checkpoint/run1, which is exported here,
# else models/starter. TensorFlow is installed only for the export.
FROM pip AS bundle
ARG MODEL=
ARG ENGINE=onnx
WORKDIR /source
COPY requirements/training.txt /requirements/
COPY app/__init__.py app/errors.py app/
COPY app/engine/__init__.py app/engine/default_bundle.py app/engine/
COPY models models
# COPY fails if nothing matches. The pattern lets the checkpoint be absent, and LICENSE is always there.
COPY LICENSE checkpoint/run[1] checkpoint/run1/
RUN if [ "$ENGINE" = tensorflow ]; then echo checkpoint/run1 > served; else python3 -m app.engine.default_bundle "$MODEL" > served; fi
RUN if [ "$(cat served)" = checkpoint/run1 ] && [ "$ENGINE" = onnx ]; then \
      pip install --quiet --no-deps --require-hashes --requirement /requirements/training.txt; \
    fi
COPY app/engine app/engine
COPY finetune finetune
RUN served=$(cat served); echo "This image serves $served."; \
    if [ "$served" = checkpoint/run1 ] && [ "$ENGINE" = onnx ]; then \
      python3 -m finetune export --checkpoint "$served" --out exported/run1 && served=exported/run1; \
    fi && cp -r "$served" /model && chmod -R a+rX /model

FROM python AS app
ARG ENGINE=onnx
LABEL org.opencontainers.image.title="gpt-2-cloud-run" \
      org.opencontainers.image.description="A fine-tuned GPT-2 behind HTTP" \
      org.opencontainers.image.licenses="MIT"
# Memory in pages of 2 MB, where the kernel offers them, makes generation a fifth faster.
# The container forgets its disk, so votes are off until FEEDBACK=bigquery://PROJECT.DATASET is set.
ENV MODEL=/model ENGINE=${ENGINE} FEEDBACK="" GLIBC_TUNABLES=glibc.malloc.hugetlb=1
COPY --from=packages /opt/venv /opt/venv
COPY --from=bundle /model /model
WORKDIR /srv
COPY app app
# A clone that was made with `umask 077` has files that only its owner may read, and here that is root.
RUN find app ! -perm -444 -exec chmod a+rX {} + && python3 -m compileall -q app
USER 65532:65532
EXPOSE 8080
# Python is process 1, so it gets the signal to stop. It finishes running requests and ends within ten seconds.
ENTRYPOINT ["python3", "-m", "app"]
