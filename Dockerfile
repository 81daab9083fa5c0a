FROM python:3.11-slim-bookworm

# Each container is a host of its own: its processes meet in this directory, and each container
# is scraped by itself.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics

WORKDIR /app
RUN useradd --system --no-create-home --shell /usr/sbin/nologin sovd

COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

COPY manage.py ./
COPY sovd sovd
COPY vehicles vehicles
COPY commands commands
COPY templates templates

USER sovd
EXPOSE 8000
CMD ["daphne", "-b", "0.0.0.0", "-p", "8000", "sovd.asgi:application"]
