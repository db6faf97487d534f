# Everything that is done to recto. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
LIBRARY ?= .demo
PACKAGES := domain ingest retrieve rerank library service evaluation training recto
SYSTEM := poppler-utils chromium tesseract-ocr fonts-dejavu-core fonts-liberation
QUESTIONS := \
	"Which turbine lost the most hours to repairs?" \
	"How do I descale the espresso machine?" \
	"share of trips made by bicycle after the new lanes opened"

.PHONY: help demo test check fix bench serve setup system lock figures

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## set up, index the documents that ship, answer three questions
	@$(BIN)/recto index docs/demo --library $(LIBRARY)
	@for question in $(QUESTIONS); do \
		printf '\n\033[1m$$ recto search "%s"\033[0m\n' "$$question"; \
		$(BIN)/recto search "$$question" -k 3 --library $(LIBRARY); \
	done
	@printf '\nNext:\n  %s\n  %s\n  %s\n' \
		"$(BIN)/recto serve --library $(LIBRARY)    # then open http://127.0.0.1:8000" \
		"$(BIN)/recto index ~/Documents            # your own PDFs, in your own library" \
		"$(BIN)/recto search 'what you remember of the page'"

test: setup system check ## set up, then everything that CI runs
	$(BIN)/pytest -n auto --dist loadgroup -m "not gpu"

check: setup ## lint, types, import direction and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -m "not gpu and not slow and not browser and not service" tests/domain tests/laws

fix: setup ## format and mend what can be mended by machine
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## run every benchmark and write benchmarks/results
	for script in benchmarks/*.py; do $(BIN)/python $$script; done

serve: setup ## serve the demo library at http://127.0.0.1:8000
	$(BIN)/recto serve --library $(LIBRARY)

setup: .venv/.ready ## make the virtual environment .venv

.venv/.ready: requirements.lock pyproject.toml
	@echo "setting up .venv (the first time downloads about 3 GB)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

system: ## install the programs that tests need (Debian, Ubuntu)
	@if command -v pdftoppm chromium tesseract >/dev/null && [ "$$(command -v pdftoppm chromium tesseract | wc -l)" = 3 ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "install these first: $(SYSTEM)"; exit 1; fi; \
	sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(SYSTEM)

lock: ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --no-emit-index-url --no-header --python-version 3.11 \
		--extra cpu --extra eval --extra train --extra dev --extra bench \
		pyproject.toml -o requirements.lock
