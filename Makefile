.DEFAULT_GOAL := help
.PHONY: help demo test test-asyncio chaos mutants relays unit lint check audit fuzz stories bench bench-peers lock settings api metrics logs pictures clean

BIN := .venv/bin
READY := .venv/.ready

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(READY)  ## watch a shop's afternoon: checkouts become mails (DEMO=--keep leaves it running)
	@$(BIN)/recovery demo $(DEMO)

test: $(READY)  ## run all tests, on a real mongod; what fails is run once more, alone
	$(BIN)/pytest || { [ $$? -eq 1 ] && $(BIN)/pytest -n 0 --maxfail 1 --last-failed --last-failed-no-failures none; }

test-asyncio: $(READY)  ## run all tests with daemons on asyncio's own event loop
	PYTHONPATH=$(CURDIR)/tests/without_uvloop $(BIN)/pytest

chaos: $(READY)  ## provoke every fault we can, and show that nothing is lost (CHAOS=--list names them)
	@$(BIN)/python -m tests.chaos $(CHAOS)

mutants: $(READY)  ## break a copy line by line, and see a row of the chaos run turn red (MUTANTS=--list names them)
	@$(BIN)/python -m tests.mutants $(MUTANTS)

relays: $(READY)  ## send bursts to real relays with limits: Postfix, Exim, one that throttles (needs Debian and root)
	@scripts/set-up-relays
	@$(BIN)/python -m tests.relays $(RELAYS)

fuzz: $(READY)  ## send what nobody would send, for ten minutes (FUZZ="--minutes 1" for less)
	@$(BIN)/python -m tests.fuzz $(FUZZ)

stories: $(READY)  ## tell a thousand stories to the kit and to MongoDB (STORIES="--count 50" for less)
	@$(BIN)/python -m tests.stories $(STORIES)

unit: $(READY)  ## run the tests that need no I/O
	$(BIN)/pytest -n 0 tests/unit

lint: $(READY)  ## ruff, mypy and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## all that CI does

audit: $(READY)  ## write an SBOM of the image, and ask for known vulnerabilities in it
	@$(BIN)/python scripts/audit

bench: $(READY)  ## measure how fast it is, beside the raw limits (BENCH=--list names what is measured)
	@scripts/set-up-benchmarks
	@$(BIN)/python -m benchmarks $(BENCH)

bench-peers: $(READY)  ## measure beside Agenda, BullMQ, Celery, arq and APScheduler (BENCH=--quick to see that it works)
	@scripts/set-up-benchmarks
	@scripts/set-up-peers $(BIN)/python
	@$(BIN)/python -m benchmarks --peers $(BENCH)

lock: $(READY)  ## pin the dependencies again
	$(BIN)/python -m pip install --quiet uv  # only to compile: nothing of what runs depends on it
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 --extra daemon --extra fast \
		--custom-compile-command 'make lock' pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 --all-extras --group dev \
		-c requirements/runtime.txt --custom-compile-command 'make lock' pyproject.toml -o requirements/dev.txt
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
		-c requirements/dev.txt --custom-compile-command 'make lock' - -o requirements/build.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/set-up-openapi-client --lock
	cd examples/django && $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
		--custom-compile-command 'make lock' requirements.in -o requirements.txt

settings: $(READY)  ## write config/recovery.toml again, from the texts of the settings
	$(BIN)/python -m recovery.settings > config/recovery.toml

api: $(READY)  ## write docs/openapi.json again, from the API
	$(BIN)/python -m recovery.http > docs/openapi.json

metrics: $(READY)  ## write docs/metrics.md again from the metrics' own words
	$(BIN)/python -m recovery.daemon > docs/metrics.md

logs: $(READY)  ## write docs/logs.md from the code and docs/logs.toml
	$(BIN)/python -m tests.support.log_events > docs/logs.md.new
	@mv docs/logs.md.new docs/logs.md

quotations: $(READY)  ## quote again, in CONTRIBUTING.md and docs/architecture.md, what they quote
	$(BIN)/python -m tests.support.quotations

pictures: $(READY)  ## take the pictures of the mails and the console again (needs of Debian chromium, fonts-noto-core, fonts-noto-cjk)
	PYTHONPATH=$(CURDIR) $(BIN)/python scripts/pictures $(PICTURES)
	PYTHONPATH=$(CURDIR) $(BIN)/python scripts/console-pictures $(PICTURES)

clean:  ## remove what was installed and cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

$(READY): requirements/dev.txt pyproject.toml scripts/set-up
	@scripts/set-up $(PYTHON)
	@touch $@
