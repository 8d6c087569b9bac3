# `make serve` and `make test` are for everybody; `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
LOCKED := --no-deps --require-hashes --requirement
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(LOCKED)
UV_INSTALL := $(BIN)/uv pip install --python $(BIN)/python $(LOCKED)
GPT2_COMMAND = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . \
	|| echo "The command gpt2 could not be made; python -m finetune is the same."
PYTEST := $(BIN)/pytest --dist=loadgroup --durations=5
# One more than there are cores: some tests wait for servers.
WORKERS := $(shell expr 1 + $$(getconf _NPROCESSORS_ONLN))

IMAGE ?= gpt-2-cloud-run
# `peers` installs the programs to compare with. What fails leaves the others alone.
BENCH ?= peers speed load speed_charts startup chat parity telegram fetching preparing training
CONTAINERS = $(firstword $(foreach name,docker podman buildah,$(shell $(name) info >/dev/null 2>&1 && echo $(name))))

# With it, every process of the tests would compile TensorFlow's modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test test-all torture browser clients lint format hooks image image-check starter bench docs lock help

serve: .venv/container  ## Serve the bundle exported last, or MODEL=..., on http://localhost:8080
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 exec $(BIN)/python -m app

test: lint  ## Check format, lint and types, and run all tests but the slow ones
	$(PYTEST) --numprocesses=$(WORKERS) -m "not slow"

test-all: lint  ## The same with the slow tests, and with the coverage floor
	$(PYTEST) --numprocesses=logical --cov

torture: .venv/tests  ## Attack the app at full size, or with ATTACK="overload fuzz" only; an hour or two on two quiet cores
	$(BIN)/pytest $(if $(ATTACK),$(ATTACK:%=tests/robustness/test_%.py),tests/robustness) --torture -o addopts= -v

browser: .venv/browser  ## Test the page in Chromium, which `apt-get install chromium` brings
	$(BIN)/pytest tests/browser -o addopts= -q

clients: .venv/clients  ## Test the API with other programs' clients, in an environment of its own
	.venv/clients.d/bin/python -m pytest tests/clients --confcutdir=tests/clients -o addopts= -o filterwarnings= -q

lint: .venv/tests  ## Check format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/tests  ## Format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: .venv/tests  ## Check every commit before it is made, with pre-commit
	$(BIN)/pre-commit install

image:  ## Build the container of that bundle, or of MODEL=..., with docker, podman or buildah
	@test -n "$(CONTAINERS)" || { echo "error: none of docker, podman and buildah is here to build with." >&2; exit 2; }
	@served=$$($(PYTHON) -m app.engine.default_bundle $(MODEL)) && echo "$(IMAGE) will serve $$served."
	$(CONTAINERS) build --tag $(IMAGE) $(if $(MODEL),--build-arg MODEL=$(MODEL)) $(BUILD_FLAGS) .

image-check: .venv/training  ## Run the image as Cloud Run would, and send it a thousand requests
	$(BIN)/python -m benchmarks.image $(IMAGE) $(BUNDLE) $(MEMORY)

starter: .venv/training  ## Train models/starter again from its corpus; about fifty minutes on two cores
	$(BIN)/python -m finetune starter --out models/starter

bench: .venv/training  ## Measure every published figure, or those of BENCH="load startup"; two hours, and needs checkpoint/starter
	@failed=0; for name in $(BENCH); do $(BIN)/python -m benchmarks.$$name || failed=1; done; exit $$failed

docs: .venv/tests  ## Renew the generated tables and trees of README.md and docs/
	$(BIN)/python -m docs.generate

lock: .venv/uv  ## Renew the locked requirements
	cd requirements && for name in uv container telemetry light training gpu tests browser clients colab audit; do \
		../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
			--custom-compile-command "make lock" --overrides overrides.txt \
			$$(test ! -f $$name-overrides.txt || echo --overrides $$name-overrides.txt) $$name.in --output-file $$name.txt; done

help:  ## List these targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1:\2/p' $(MAKEFILE_LIST) | awk -F: '{ name = $$1; sub(/^[^:]*:/, ""); printf "%-12s %s\n", name, $$0 }'

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: set PYTHON=...")'
	$(PYTHON) -m venv .venv

# With packages in versions that the others may not get along with.
.venv/clients: requirements/clients.txt requirements/uv.txt .venv/pyvenv.cfg
	@$(PIP_INSTALL) requirements/uv.txt --quiet || echo "uv could not be installed; pip installs instead, which takes longer."
	$(BIN)/python -m venv .venv/clients.d
	$(BIN)/uv pip install --python .venv/clients.d/bin/python $(LOCKED) $< || .venv/clients.d/bin/python -m pip install $(LOCKED) $<
	@touch $@

# Made only when everything is installed. uv needs a sixth of pip's time; where it is not to be had, pip installs the same.
.venv/%: requirements/%.txt requirements/uv.txt .venv/pyvenv.cfg
	@$(PIP_INSTALL) requirements/uv.txt --quiet || echo "uv could not be installed; pip installs instead, which takes longer."
	@echo "Installing requirements/$*.txt$(if $(filter training,$*),: three gigabytes; it takes a minute or a few)."
	$(UV_INSTALL) $< || $(PIP_INSTALL) $<
	@$(if $(filter container,$*),,$(GPT2_COMMAND))
	@touch $@
