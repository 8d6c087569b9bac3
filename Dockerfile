# The container that Cloud Run starts: the app, what it needs, and one bundle.
#
#   make image                                with docker, podman or buildah, whichever is there
#   gcloud run deploy NAME --source .         builds the same
#
# What changes least comes first, and the bundle is made of no more than it needs: a change of the app rebuilds neither
# the packages nor the model.

ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log /usr/share/doc
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH

FROM python AS pip
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && python3 -m venv /opt/venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# ENGINE=tensorflow makes the reference image, which serves checkpoint/run1 with gpt-2-simple itself.
FROM pip AS packages
ARG ENGINE=onnx
COPY requirements/container.txt requirements/training.txt /requirements/
# Left out: a second copy of ONNX Runtime, for programs in C, its tools, and NumPy's tests. Compiled here, since a container
# that may not write could not keep what Python compiles at its start.
RUN if [ "$ENGINE" = tensorflow ]; then name=training; else name=container; fi \
    && pip install --quiet --no-deps --require-hashes --requirement /requirements/$name.txt \
    && pip uninstall --quiet --yes pip setuptools \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf onnxruntime/capi/libonnxruntime.so.* onnxruntime/datasets onnxruntime/quantization onnxruntime/tools \
      onnxruntime/transformers \
    && find numpy -type d -name tests -prune -exec rm -r {} + \
    && python3 -m compileall -q /opt/venv/lib

# What trains: `docker build --target training`. With CUDA's libraries, eight gigabytes in all.
FROM pip AS training
COPY requirements/gpu.txt /requirements/
RUN pip install --quiet --no-deps --require-hashes --requirement /requirements/gpu.txt
WORKDIR /source
COPY app/__init__.py app/errors.py app/
COPY app/engine app/engine
COPY finetune finetune
ENTRYPOINT ["python3", "-m", "finetune"]

# The bundle: of checkpoint/run1 if there is one, else models/$MODEL. TensorFlow is fetched only to export.
FROM pip AS bundle
ARG MODEL=starter
ARG ENGINE=onnx
WORKDIR /source
COPY requirements/training.txt /requirements/
# A pattern, since the checkpoint need not be there, and LICENSE, since one of the names must.
COPY LICENSE checkpoint/run[1] checkpoint/run1/
RUN if [ -f checkpoint/run1/checkpoint ] && [ "$ENGINE" = onnx ]; then \
      pip install --quiet --no-deps --require-hashes --requirement /requirements/training.txt; \
    fi
COPY app/__init__.py app/errors.py app/
COPY app/engine app/engine
COPY finetune finetune
COPY models models
RUN if [ "$ENGINE" = tensorflow ]; then cp -r checkpoint/run1 /model; \
    elif [ -f checkpoint/run1/checkpoint ]; then \
      python3 -m finetune export --checkpoint checkpoint/run1 --out models/run1 && cp -r models/run1 /model; \
    elif [ -f "models/$MODEL/manifest.json" ]; then cp -r "models/$MODEL" /model; \
    else echo "There is no bundle in models/$MODEL: name another with --build-arg MODEL=..., or bring a checkpoint/run1." >&2; exit 1; \
    fi && chmod -R a+rX /model

FROM python AS app
ARG ENGINE=onnx
LABEL org.opencontainers.image.title="gpt-2-cloud-run" \
      org.opencontainers.image.description="A fine-tuned GPT-2 behind HTTP" \
      org.opencontainers.image.licenses="MIT"
# Pages of 2 MB where the kernel has them for the asking: reading the weights then writes a fifth more tokens a second.
# It forgets its disk, so votes need FEEDBACK=bigquery://PROJECT.DATASET.
ENV MODEL=/model ENGINE=${ENGINE} FEEDBACK="" GLIBC_TUNABLES=glibc.malloc.hugetlb=1
COPY --from=packages /opt/venv /opt/venv
COPY --from=bundle /model /model
WORKDIR /srv
COPY app app
RUN python3 -m compileall -q app
USER 65532:65532
EXPOSE 8080
# Process 1 itself: told to stop, it finishes what it is answering and leaves within ten seconds.
ENTRYPOINT ["python3", "-m", "app"]
