# Everything on a machine that has only Python >= 3.11 with pip, and make.
#   make demo [FEED=path] [ASK='a question']   read a feed and answer from it
#   make web [FEED=path]    the web page of a demo library
#   make test [T=path]      all tests, or those of a folder or file
#   make test-fast          a selection without browsers, mail servers and large data
#   make check              lint, format, spelling, types
#   make api                write docs/api.md from the docstrings
#   make screenshots        the pictures of the web page and of a digest in docs/images
#   make chaos [MINUTES=5] [SEED=1]   kill commands, damage files, fill the disk, and check what is left
#   make bench              speed and memory, each against its limit
#   make eval [PARTS='ours claims']   answer quality against the baseline and, where they lie beside, on the shared sets
#   make local-llm [MODEL=1.5b|0.5b|135m] [PORT=8090]   fetch a small real model, and serve it on this machine

PYTHON ?= python3
VENV   ?= .venv
FEED   ?=
ASK    ?=
SHARED ?= ../shared
MODEL  ?= 1.5b
PORT   ?= 8090
T      ?=
JOBS   ?= 3
MINUTES ?= 5
SEED   ?= 1
PARTS  ?=
FAST   := tests/text tests/retrieval tests/config tests/feeds tests/answering

BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
HOME_   := .demo/library
DEMO    := PAPERAGENT_HOME=$(HOME_) $(BIN)/paperagent

# Without compiled modules each process that a test starts compiles the whole package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-dev demo screenshots web test test-fast check api bench chaos eval local-llm clean

setup: $(VENV)/.base $(VENV)/.model

setup-dev: $(VENV)/.dev $(VENV)/.model

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing paperagent into $(VENV) (about a minute) …"
	@$(INSTALL) -e '.[models]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing paperagent and its developer tools into $(VENV) (about a minute) …"
	@$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.base

# Without a model everything still works, by words alone; so a failure here does not stop the rest.
$(VENV)/.model: | $(BIN)/python
	@if [ ! -e $(VENV)/.base ]; then $(MAKE) --no-print-directory $(VENV)/.base; fi
	@if $(BIN)/paperagent models pull; then touch $@; else echo "going on without the embedding model"; fi

demo: setup
	@rm -rf $(HOME_) && mkdir -p .demo
	@echo; echo '$$ paperagent ingest $(or $(FEED),sample)'
	@$(DEMO) ingest "$(or $(FEED),sample)"
	@echo; echo '$$ paperagent status'
	@$(DEMO) status
	@{ if [ -n "$(ASK)" ]; then echo "$(ASK)"; else PAPERAGENT_HOME=$(HOME_) $(BIN)/python examples/questions.py; fi; } \
	  | while IFS= read -r question; do \
	      echo; echo "\$$ paperagent ask \"$$question\""; $(DEMO) ask "$$question" </dev/null; \
	    done
	@week=$$($(BIN)/python examples/latest_week.py $(HOME_)); \
	  echo; echo "\$$ paperagent digest preview --week $$week --out .demo/digest"; \
	  $(DEMO) digest preview --week "$$week" --out .demo/digest
	@echo; echo 'Next:   PAPERAGENT_HOME=$(HOME_) $(BIN)/paperagent chat'
	@echo '        make web    the same library as a web page, at http://127.0.0.1:8700/'

# The library of `make demo`, made now if there is none; PAPERAGENT_WEB_PORT=9000 make web uses another port.
web: setup
	@if [ ! -e $(HOME_) ]; then mkdir -p .demo && $(DEMO) ingest "$(or $(FEED),sample)"; fi
	@$(DEMO) serve

# xdist would start the slow files last, because they have few tests; this keeps the order of files.
test: setup-dev
	@$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(T)

test-fast: setup-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(FAST)

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs prompts
	$(BIN)/mypy

api: setup-dev
	$(BIN)/python docs/generate_api.py

screenshots: setup-dev
	WRITE_SCREENSHOTS=1 $(BIN)/python -m pytest tests/web/test_screenshots.py tests/digest/test_pictures.py

bench: setup-dev
	$(BIN)/python bench/run.py --shared $(SHARED)

chaos: setup-dev
	cd tests && ../$(BIN)/python -m chaos --minutes $(MINUTES) --seed $(SEED) --keep-going

eval: setup-dev
	$(BIN)/python eval/run.py --shared $(SHARED) $(PARTS:%=--only %)

$(VENV)/.llama: $(VENV)/.dev
	@echo "installing llama.cpp's server into $(VENV) …"
	@$(INSTALL) -e '.[llama-test]'
	@touch $@

local-llm: $(VENV)/.llama
	@$(BIN)/python eval/local_model.py serve $(MODEL) --port $(PORT)

clean:
	rm -rf .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
