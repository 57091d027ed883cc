# The archive in one image: `docker run … serve` runs both doors, `serve --role dimse|web` one of them.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY vna vna
COPY storage_backends storage_backends
COPY dicomweb dicomweb
RUN /venv/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
# What annotations are written in, beyond ASCII: Latin, Greek, Cyrillic, Hebrew, Arabic; Chinese and Japanese; Korean.
# Fonts of whichever version Debian has now: a pinned one is gone from its mirrors with the next.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-dejavu-core fonts-droid-fallback fonts-nanum \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin vna \
    && install --directory --owner=vna --group=vna /data
COPY --from=build /venv /venv
COPY config/vna.toml /etc/vna/vna.toml.example
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VNA__ARCHIVE__DATA_DIR=/data \
    VNA__DIMSE__HOST=0.0.0.0 \
    VNA__WEB__HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 11112 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=8)"]
ENTRYPOINT ["vna"]
CMD ["serve"]
