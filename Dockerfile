# Statehouse in a container: docs/container.md. Any Debian base with Python 3.11 or later and its venv module does.
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS build
# cpu, or a CUDA release such as cu130 (the host then brings the driver); empty: as pip would choose.
ARG TORCH_BACKEND=cpu
# What else is to be in it, of pyproject.toml's extras: "text vision s3".
ARG EXTRAS=
# Where wheels of your own lie, mounted at build time.
ARG UV_FIND_LINKS=
WORKDIR /opt/source
# The system's certificates, so that a company's own work when they are mounted.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    UV_SYSTEM_CERTS=true UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 \
    VIRTUAL_ENV=/opt/statehouse/.venv
RUN python3 -m venv --without-pip "$VIRTUAL_ENV" \
    && python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --quiet 'uv>=0.13,<0.14'
# The releases of requirements.lock, which the tests ran with; of torch the build for TORCH_BACKEND.
COPY pyproject.toml requirements.lock README.md ./
# hadolint ignore=SC2046
RUN /opt/uv/bin/uv pip install --quiet ${TORCH_BACKEND:+--torch-backend "$TORCH_BACKEND"} \
        $(for extra in image ${EXTRAS}; do echo "--extra ${extra}"; done) \
        --constraint requirements.lock --requirement pyproject.toml 'setuptools>=77' \
    && rm -rf "$VIRTUAL_ENV"/lib/python3*/site-packages/torch/include "$VIRTUAL_ENV"/lib/python3*/site-packages/torch/test
COPY LICENSE NOTICE MANIFEST.in config.properties ./
COPY src src
COPY models models
COPY handlers handlers
COPY scripts scripts
RUN /opt/uv/bin/uv pip install --quiet --no-deps --no-build-isolation . \
    && "$VIRTUAL_ENV"/bin/statehouse --help > /dev/null

# hadolint ignore=DL3006
FROM ${BASE}
LABEL org.opencontainers.image.title="Statehouse" \
      org.opencontainers.image.description="Checkpoints in, verified endpoints out: PyTorch checkpoints served by TorchServe."
RUN groupadd --gid 10001 statehouse \
    && useradd --uid 10001 --gid statehouse --home-dir /var/lib/statehouse --no-create-home \
        --shell /usr/sbin/nologin statehouse \
    && install --directory --owner=statehouse --group=statehouse --mode=0750 /var/lib/statehouse \
    && install --directory --owner=statehouse --group=statehouse --mode=0700 /opt/statehouse/architectures \
    && install --directory --mode=1777 /opt/statehouse/run
COPY --from=build /opt/statehouse /opt/statehouse
# /opt/statehouse/architectures is for images built on this one that add their own code: docs/container.md.
# All that is ever written: deployment, model store and history in the volume, sockets and the like in /opt/statehouse/run,
# which is not in /run: podman mounts a folder of its own over that where the root is read-only.
ENV PATH=/opt/statehouse/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/statehouse \
    XDG_RUNTIME_DIR=/opt/statehouse/run TMPDIR=/opt/statehouse/run \
    STATEHOUSE_DEPLOYMENT=/var/lib/statehouse/deployment.yaml \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /var/lib/statehouse
VOLUME ["/var/lib/statehouse"]
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --retries=3 CMD ["statehouse", "status", "--live"]
# The first process buries orphans and passes SIGTERM on to statehouse, which drains.
ENTRYPOINT ["dumb-init", "--single-child", "--"]
CMD ["statehouse", "serve"]
