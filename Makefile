# Every command for people. `make run` and `make test` need Python 3.11, git and make only.
PYTHON ?= python3
BIN = .venv/bin
# Processes of tests, each with its own Postgres and Valkey: one more than two cores, since they also wait
PROCESSES ?= 3
PARALLEL = -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
INSIDE = commands vehicles
OUTSIDE = sovd sovd_client dev
EMBEDDED = 'embedded and not (faults or fuzz)'
FUZZ_HTTP ?= 50000
FUZZ_SOCKETS ?= 10000
FUZZ_EXAMPLES ?= 100
TRACING ?= off
# Without compiled files each process of tests compiles all of them, which takes six seconds.
unexport PYTHONDONTWRITEBYTECODE
STATIC = var/static/staticfiles.json

.PHONY: run test test-processes test-slow test-faults test-monitoring test-browser test-database screenshots page-weight fuzz format lint lint-files lint-types lint-packages stack vehicle chaos chaos-doip soak bench bench-check growth lock clean

run: .venv/installed $(STATIC)
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo_data
	@exec $(BIN)/python manage.py serve

test: lint
	$(BIN)/pytest $(PARALLEL) $(INSIDE)
	$(BIN)/pytest $(PARALLEL) --embedded -m $(EMBEDDED) $(INSIDE)

# Tests that start the processes of the product, and use them as its clients do
test-processes: .venv/installed-dev
	$(BIN)/pytest $(PARALLEL) $(OUTSIDE)
	$(BIN)/pytest $(PARALLEL) --embedded -m $(EMBEDDED) $(OUTSIDE)

# Short fault campaign and soak: every part is killed under load, and every promise checked.
test-faults: .venv/installed-dev
	$(BIN)/pytest -m faults dev

test-slow: .venv/installed-dev
	$(BIN)/pytest -m slow

# Two minutes: a real Prometheus, each fault really caused, each alert seen to come and go.
test-monitoring: .venv/installed-dev
	@dev/install-debian prometheus prometheus promtool
	$(BIN)/pytest --embedded monitoring

# Every page in two real browsers, each before the real processes. What failed leaves its trace in var/browser.
test-browser: .venv/installed-dev $(STATIC)
	@dev/install-debian chromium-headless-shell chromium-headless-shell
	$(BIN)/pytest --embedded -n 2 --dist loadfile -p playwright --tracing $(TRACING) --screenshot only-on-failure --output var/browser sovd/tests/browser

# The product behind a real PgBouncer, and before a standby that is promoted.
test-database: .venv/installed-dev
	@dev/install-debian pgbouncer pgbouncer
	$(BIN)/pytest sovd/tests/database

# The README's pictures; ARGS="--all var/screenshots" for every page of a large fleet, light and dark, at four widths
screenshots: .venv/installed-dev $(STATIC)
	@dev/install-debian chromium-headless-shell chromium-headless-shell
	@$(BIN)/python -m dev.screenshots $(ARGS)

page-weight: .venv/installed-dev $(STATIC)
	@dev/install-debian chromium-headless-shell chromium-headless-shell
	@$(BIN)/python -m dev.page_weight

fuzz: .venv/installed-dev
	FUZZ_HTTP=$(FUZZ_HTTP) FUZZ_SOCKETS=$(FUZZ_SOCKETS) FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest -m fuzz sovd/tests/test_fuzz.py

format: .venv/installed-dev
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .
	$(BIN)/biome check --write --error-on-warnings

# Types take as long as everything else, and the list of vulnerabilities is a matter of waiting.
lint: .venv/installed-dev
	@$(MAKE) --no-print-directory --jobs --output-sync=target lint-files lint-types lint-packages

lint-files:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/biome check --error-on-warnings
	@$(BIN)/python -m dev.check_docstrings
	@$(BIN)/lint-imports --no-logo --cache-dir var/import-linter
	$(BIN)/python manage.py makemigrations --check --dry-run

lint-types:
	$(BIN)/mypy .

lint-packages:
	@$(BIN)/python -m dev.audit

stack: .venv/installed-dev $(STATIC)
	@exec $(BIN)/python -m dev.stack --demo-users $(ARGS)

# A DoIP vehicle that others wrote, on loopback and among the console's vehicles.
# ARGS="--port 13401 --count 3 --journal var/vehicle.jsonl"
vehicle: .venv/installed-dev
	@$(BIN)/python manage.py migrate --verbosity 0
	@exec $(BIN)/python -m dev.vehicle --add $(ARGS)

# For example: make chaos ARGS="--commands 10000 --seconds 900 --seed 1 --recovery"
chaos: .venv/installed-dev
	@exec $(BIN)/python -m dev.chaos $(ARGS)

# With DoIP vehicles that others wrote: make chaos-doip ARGS="--commands 1000 --seconds 240 --seed 1"
chaos-doip: .venv/installed-dev
	@exec $(BIN)/python -m dev.chaos.doip $(ARGS)

soak: .venv/installed-dev
	@exec $(BIN)/python -m dev.soak $(ARGS)

# Figures of this machine, beside those of yardsticks: docs/benchmarks.md. For one of them, while
# others use the machine: make bench ARGS="--only commands --quick --force --json var/before.json"
bench: .venv/installed-dev
	@exec $(BIN)/python -m dev.bench $(ARGS)

bench-check: .venv/installed-dev
	@exec $(BIN)/python -m dev.bench --check $(ARGS)

growth: .venv/installed-dev
	@exec $(BIN)/python -m dev.bench.growth $(ARGS)

lock: .venv/python
	@$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	@$(MAKE) --no-print-directory .venv/installed
	$(BIN)/python -m dev.licences > docs/licences.md

# Hashed and compressed copies of the static files; again when a file or a package has changed.
$(STATIC): .venv/installed $(shell find commands/static)
	@$(BIN)/python manage.py collectstatic --noinput --verbosity 0

.venv/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; %s is %s. Name another one: make PYTHON=python3.11" % (sys.executable, sys.version.split()[0]))'
	@echo "Building .venv (once; about half a minute)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/python requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv var
