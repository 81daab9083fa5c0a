FROM python:3.11.14-slim-bookworm AS build

WORKDIR /build
RUN python -m venv /opt/venv
COPY requirements.txt ./
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements.txt


FROM python:3.11.14-slim-bookworm

# No secrets here: they come from the environment or from files (see .env.example). The product
# writes under /tmp only, so the rest may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics

WORKDIR /app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sovd

COPY --from=build /opt/venv /opt/venv
COPY . ./
# Without a SECRET_KEY, the embedded mode would make one and keep it in the image.
RUN python -m compileall -q . && \
    SECRET_KEY=unused SOVD_VAR_DIR=/tmp/var python manage.py collectstatic --noinput --verbosity 0 && \
    rm -rf /tmp/var

USER 10001
EXPOSE 8000
CMD ["python", "manage.py", "runweb", "--host", "0.0.0.0", "--port", "8000"]
