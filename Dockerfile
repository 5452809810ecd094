# Recovery, with neither a database nor a relay inside: docs/running.md tells how to run it.
#
# A test carries these lines out by hand where no engine runs (tests/support/dockerfile.py). So that the very same commands run
# there and here, RUN finds everything by a variable or below WORKDIR, never by an absolute path.

ARG PYTHON=3.12
# docs/running.md tells how to pin it by digest, and how to renew that.
ARG BASE=python:${PYTHON}-slim
# A virtual environment works only where it was made: it is at the same place in both stages.
ARG VENV=/venv


FROM ${BASE} AS build
ARG VENV
WORKDIR /build

# Wheels only: the slim image has no compiler, and no package is to run code of its own while it is installed.
ENV PIP_ONLY_BINARY=:all: PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# What is locked comes before what is ours, so that a change of ours downloads nothing anew.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv tools \
    && tools/bin/python -m pip install --require-hashes -r requirements/build.txt
RUN python -m venv "$VENV" \
    && "$VENV/bin/python" -m pip install --require-hashes -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY recovery/ recovery/
RUN tools/bin/python -m hatchling build --target wheel --directory dist \
    && "$VENV/bin/python" -m pip install --no-index "$(echo dist/recovery-*.whl)[daemon,fast]" \
    && "$VENV/bin/python" -m pip check


FROM ${BASE}
ARG VENV
COPY --from=build ${VENV} ${VENV}

# A container's loopback is reached by nobody, so the API listens on every address, and for that the settings insist on
# an API key: a container without one stops with a sentence instead of being deaf.
ENV PATH=${VENV}/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RECOVERY_HTTP__HOST=0.0.0.0

# Settings may also come from config/recovery.toml below this folder. Nothing is ever written here, or anywhere.
WORKDIR /recovery

# By number, or Kubernetes cannot tell that it is not root (runAsNonRoot).
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["recovery", "health"]
ENTRYPOINT ["recovery"]
CMD ["run"]
