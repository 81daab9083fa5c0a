FROM python:3.11-slim-bookworm

# No secrets here: they come from the environment (see .env.example).
ENV PYTHONUNBUFFERED=1 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics

WORKDIR /app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sovd

COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

COPY . ./

USER 10001
EXPOSE 8000
CMD ["daphne", "-b", "0.0.0.0", "-p", "8000", "sovd.asgi:application"]
