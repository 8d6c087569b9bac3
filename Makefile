# Two commands for everybody: `make serve` and `make test`. The rest is for who works on it.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

IMAGE ?= gpt-2-cloud-run
CONTAINERS = $(firstword $(foreach name,docker podman buildah,$(shell $(name) info >/dev/null 2>&1 && echo $(name))))

.PHONY: serve test browser image image-check format starter bench docs lock

serve: .venv/container  ## Serve models/starter, or MODEL=..., on http://localhost:8080
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 exec $(BIN)/python -m app

test: .venv/tests  ## Every check: format, lint, types, tests with a coverage floor
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

browser: .venv/browser  ## Try the page in Chromium, which `apt-get install chromium` brings
	$(BIN)/pytest tests/browser -o addopts= -q

image:  ## Build the container with docker, podman or buildah; BUILD_FLAGS='--build-arg MODEL=...'
	@test -n "$(CONTAINERS)" || { echo "error: none of docker, podman and buildah is here to build with." >&2; exit 2; }
	$(CONTAINERS) build --tag $(IMAGE) $(BUILD_FLAGS) .

image-check: .venv/training  ## Run it as Cloud Run would, and ask it a thousand times
	$(BIN)/python -m benchmarks.image $(IMAGE) $(BUNDLE) $(MEMORY)

format: .venv/tests
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

starter: .venv/training  ## Train models/starter anew, from its corpus; about fifty minutes on two cores
	$(BIN)/python -m finetune starter --out models/starter

bench: .venv/training  ## Measure everything the README claims; about half an hour, and checkpoint/starter from `make starter`
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.chat
	$(BIN)/python -m benchmarks.parity
	$(BIN)/python -m benchmarks.telegram
	$(BIN)/python -m benchmarks.fetching
	$(BIN)/python -m benchmarks.preparing
	$(BIN)/python -m benchmarks.training

docs: .venv/tests  ## Renew the generated tables and trees of README.md and docs/
	$(BIN)/python -m docs.generate

lock:  ## Renew the locked requirements
	cd requirements && for name in container training gpu tests browser audit; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
			--custom-compile-command "make lock" --overrides overrides.txt \
			$$(test ! -f $$name-overrides.txt || echo --overrides $$name-overrides.txt) $$name.in --output-file $$name.txt; done

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/%: requirements/%.txt .venv/pyvenv.cfg
	$(INSTALL) -r $<
	@touch $@
