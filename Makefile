# Everything a person types. `make run` and `make test` need Python 3.11, git and make, nothing else.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: run test test-slow test-monitoring test-browser screenshots page-weight fuzz format lint stack chaos soak lock clean

run: .venv/installed
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py demo_data
	@exec $(BIN)/python manage.py serve

test: lint
	$(BIN)/pytest
	$(BIN)/pytest --embedded -m embedded

test-slow: .venv/installed-dev
	$(BIN)/pytest -m slow

# Two minutes: a real Prometheus, each fault really caused, each alert seen to come and go.
test-monitoring: .venv/installed-dev
	@dev/install-debian prometheus prometheus promtool
	$(BIN)/pytest --embedded monitoring

# Every page in a real browser, before the real processes. What failed leaves its trace in var/browser.
test-browser: .venv/installed-dev
	@dev/install-debian chromium chromium
	$(BIN)/pytest --embedded -p playwright --tracing retain-on-failure --screenshot only-on-failure --output var/browser sovd/tests/browser

# The README's pictures; ARGS="--all var/screenshots" for every page, light and dark, at three widths
screenshots: .venv/installed-dev
	@dev/install-debian chromium chromium
	@$(BIN)/python -m dev.screenshots $(ARGS)

page-weight: .venv/installed-dev
	@dev/install-debian chromium chromium
	@$(BIN)/python -m dev.page_weight

fuzz: .venv/installed-dev
	FUZZ_HTTP=50000 FUZZ_SOCKETS=10000 FUZZ_EXAMPLES=100 $(BIN)/pytest sovd/tests/test_fuzz.py

format: .venv/installed-dev
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m dev.audit

stack: .venv/installed-dev
	@exec $(BIN)/python -m dev.stack --demo-users $(ARGS)

# For example: make chaos ARGS="--commands 10000 --seconds 900 --seed 1 --recovery"
chaos: .venv/installed-dev
	@exec $(BIN)/python -m dev.chaos $(ARGS)

soak: .venv/installed-dev
	@exec $(BIN)/python -m dev.soak $(ARGS)

lock: .venv/python
	@$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	@$(MAKE) --no-print-directory .venv/installed
	$(BIN)/python -m dev.licences > docs/licences.md

.venv/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; %s is %s. Name another one: make PYTHON=python3.11" % (sys.executable, sys.version.split()[0]))'
	@echo "Building .venv (once; about half a minute)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/python requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv var
