# Two commands matter: `make run` starts the dashboard, `make test` checks everything that is quick to check.
# Both set up .venv by themselves; nothing but Python 3.11 or 3.12 is needed.

PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)
PORT ?= 8501
UV_VERSION = 0.13.9
UV = .venv/bin/uv pip
INSTALL = $(UV) sync --quiet --compile-bytecode --python .venv/bin/python
CHROMIUM = chromium chromium-browser google-chrome google-chrome-stable

.PHONY: run test test-slow check setup setup-dev browser screenshots format lock clean

run: setup .venv/.compiled  ## start the dashboard
	@echo "Starting the dashboard on http://localhost:$(PORT)"
	.venv/bin/streamlit run app.py --server.port $(PORT)

test: setup-dev browser check .venv/.compiled  ## everything that is quick to check
	.venv/bin/python -m pytest -m "not slow and not browser" -n auto --maxprocesses 4 --dist loadfile $(TESTS)
	.venv/bin/python -m pytest -m "not slow and browser" $(TESTS) || [ $$? -eq 5 ]  # 5: none were asked for

test-slow: setup-dev browser .venv/.compiled  ## real networks on real pictures, faults, load
	.venv/bin/python -m pytest -m slow $(TESTS)

check: setup-dev  ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

setup: .venv/.installed
setup-dev: .venv/.installed-dev

.venv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed; install one of them, or name it: make run PYTHON=..."; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Whoever develops keeps the development packages: they contain the others.
.venv/.installed: requirements.txt requirements-dev.txt | .venv/bin/uv
	@echo "Installing the packages of requirements.txt (about 6 GB with CUDA; a minute or two)"
	$(INSTALL) $(if $(wildcard .venv/.installed-dev),requirements-dev.txt,requirements.txt)
	@touch $@

.venv/.installed-dev: requirements-dev.txt | .venv/bin/uv
	@echo "Installing the packages of requirements-dev.txt (about 6 GB with CUDA; a minute or two)"
	$(INSTALL) requirements-dev.txt
	@touch $@ .venv/.installed

# What numba compiles is kept beside its source: nobody waits for it later.
.venv/.compiled: xai_core/scores/compiled/multigrid.py | setup
	.venv/bin/python -c "from xai_core.scores.imputation import compile_solver; compile_solver()"
	@touch $@

browser:  ## a browser for the tests, where it can be had
	@for name in $(CHROMIUM); do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else echo "No Chromium was found and none can be installed: the browser tests will be skipped."; fi

screenshots: setup-dev browser  ## the pictures of the README, from a real run
	XAI_TEST_SCREENSHOTS=1 .venv/bin/python -m pytest tests/browser -k "picked or compared or drawn_and_hidden or half_drawn"

format: setup-dev  ## bring the code into shape
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: | .venv/bin/uv  ## pin the packages anew
	$(UV) compile pyproject.toml --quiet --universal --python-version 3.11 --no-emit-index-url --upgrade \
		--custom-compile-command "make lock" -o requirements.txt
	$(UV) compile pyproject.toml --group dev --quiet --universal --python-version 3.11 --no-emit-index-url --upgrade \
		-c requirements.txt --custom-compile-command "make lock" -o requirements-dev.txt

clean:  ## remove what the set-up made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache
