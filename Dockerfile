FROM python:3.11.14-slim-bookworm AS build

WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.txt ./
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt


FROM python:3.11.14-slim-bookworm

# No secrets here: they come from the environment or from files (see .env.example). Nothing is
# written but under /tmp, so the rest may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics

WORKDIR /app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sovd

COPY --from=build /opt/venv /opt/venv
COPY . ./
RUN python -m compileall -q .

USER 10001
EXPOSE 8000
CMD ["daphne", "-b", "0.0.0.0", "-p", "8000", "sovd.asgi:application"]
