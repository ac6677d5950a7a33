# make run and make test need nothing but Python 3.11, make and npm; without npm, make run goes on, and some models are
# missing.
PYTHON ?= python3
# processes that run tests, each whole files; 0: one after another in one process
WORKERS ?= 2
BIN := .venv/bin
# what tests import is compiled once, for their processes and all that these start, also where __pycache__ is unwanted
COMPILED := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/.pytest_cache/bytecode
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: run test check bench bench-speech bench-vision bench-platform bench-embed sdk extension soak fuzz help clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16
	@echo 'ARGS passes options on: make run ARGS="--port 9000", make test ARGS="tests/web"'

run: .venv/.run web/node_modules/.models ## install what is missing, start the server, print its address
	@$(BIN)/aimass serve $(ARGS)

test: .venv/.test .venv-clients/.installed web/node_modules/.installed check ## install what tests need, check, run all tests
	@# many tests wait for media, so two at once fit on two cores; the files' order keeps a folder's browser and server
	@# with two at once or on a shared machine one can be late: what failed is tried alone, and was named above
	@$(COMPILED) $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) || { \
	  status=$$?; test $$status -eq 1 || exit $$status; \
	  echo "Once more, what failed above. What passes only now wants mending, too."; \
	  $(COMPILED) $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 12; }

check: .venv/.test web/node_modules/.installed ## ruff, mypy --strict, import-linter, tsc
	@# no cache: it keeps what it said of imports from before a module was there
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	@for recipe in models/*/recipe.py; do echo "mypy $$recipe"; \
	  MYPYPATH=$$(dirname $$recipe) $(BIN)/mypy $$recipe || exit 1; done
	$(BIN)/lint-imports
	web/node_modules/.bin/tsc -p web

bench: .venv/.bench ## compare with other servers on this machine (about 20 minutes); writes benchmarks/results.md
	$(BIN)/python -m benchmarks $(ARGS)

bench-speech: .venv/.bench ## measure hearing, speaking and conversing (about 45 minutes); writes benchmarks/speech.md
	$(BIN)/python -m benchmarks.speech $(ARGS)

bench-vision: .venv/.bench web/node_modules/.models ## measure painting and seeing (about 20 minutes); writes benchmarks/vision.md
	$(BIN)/python -m benchmarks.vision $(ARGS)

bench-platform: .venv/.bench web/node_modules/.models ## measure hub, REST and store beside other servers (about 20 minutes); writes benchmarks/platform.md
	$(BIN)/python -m benchmarks.platform $(ARGS)

bench-embed: .venv/.bench web/node_modules/.installed ## measure the browser SDK in Chromium and a Janus room (about 50 minutes); writes benchmarks/embed.md
	$(BIN)/python -m benchmarks.embed $(ARGS)

sdk: web/node_modules/.installed ## make the npm package of the browser SDK in dist/aimass-stream
	@$(BIN)/python tools/make_sdk.py

extension: .venv/.run ## make the browser extension in dist/aimass-stream-extension.zip; every server has it, too
	@$(BIN)/python tools/make_extension.py

soak: .venv/.test ## 2,000 connections and a long overload; writes benchmarks/soak.md
	$(BIN)/python -m benchmarks.soak $(ARGS)

fuzz: .venv/.test .venv-clients/.installed ## schemathesis with many requests of every kind (about 10 minutes)
	FUZZ_EXAMPLES=100 FUZZ_PHASES=examples,coverage,fuzzing $(BIN)/python -m pytest tests/clients/test_schemathesis.py $(ARGS)

clean: ## remove everything that was installed or built here
	rm -rf .venv .venv-clients web/node_modules benchmarks/.venvs dist

.venv/.base: pyproject.toml constraints.txt tools/apt.sh
	@tools/apt.sh libgl1 libglib2.0-0
	@echo "Installing into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) --constraint constraints.txt --editable .
	@touch $@

.venv/.run: .venv/.base
	@touch $@

.venv/.test: .venv/.base
	@# GStreamer is the independent peer of WHIP and WHEP: 60 MB to fetch, 180 MB on disk; coturn is the relay (3 MB),
	@# PulseAudio hears the virtual microphone (10 MB)
	@tools/apt.sh chromium postgresql janus coturn python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-bad \
	  gstreamer1.0-plugins-good gstreamer1.0-nice pulseaudio pulseaudio-utils
	@$(UV) --constraint constraints.txt --editable '.[test]'
	@touch $@

.venv/.bench: .venv/.test
	@$(UV) --constraint constraints.txt --editable '.[test,bench]'
	@touch $@

# stock clients of the voice protocols: beside ours they would drag websockets and OpenCV to other versions
.venv-clients/.installed: tests/clients/requirements.txt .venv/.base
	@echo "Installing stock clients into .venv-clients"
	@test -x .venv-clients/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-clients
	@$(BIN)/uv pip sync --quiet --python .venv-clients/bin/python tests/clients/requirements.txt
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json
	@cd web && npm ci --silent --no-audit --no-fund
	@touch $@ web/node_modules/.models

# finders of faces, persons and hands lie in npm packages; what needs none of them runs without npm, too
web/node_modules/.models: web/package.json web/package-lock.json
	@(cd web && npm ci --omit=dev --ignore-scripts --silent --no-audit --no-fund && touch node_modules/.models) \
	  || echo "npm is not here or could not fetch its packages: there are no finders of faces, persons and hands"
