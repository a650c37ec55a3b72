# `make help` lists the targets. Everything runs out of .venv, which scripts/install makes from the lock files and which
# is left alone while they are unchanged. Settings come from the environment or .env (see .env.example).

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
LOCKS := requirements.txt requirements-weights.txt pyproject.toml clients/python/pyproject.toml scripts/install

.PHONY: help serve chat test coverage bench bench-recall bench-peers bench-times bench-everyday bench-languages bench-weeks bench-networks bench-answers demo page-pictures crash integrations openapi reference compose-check bom audit soak fuzz clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r target what; do \
		printf '  make %-14s %s\n' "$$target" "$$what"; done

.venv/.service: $(LOCKS)
	@PYTHON="$(PYTHON)" scripts/install

.venv/.dev: $(LOCKS) requirements-dev.txt
	@PYTHON="$(PYTHON)" scripts/install dev

.venv-peers/.peers: $(LOCKS) requirements-peers.txt requirements-peers-alone.txt
	@PYTHON="$(PYTHON)" scripts/install peers

serve: .venv/.service  ## run the service: http://127.0.0.1:8000, the API's documentation under /docs
	@.venv/bin/mneme fetch
	@.venv/bin/mneme migrate
	@exec .venv/bin/mneme serve

chat: .venv/.service  ## talk to the service in this terminal
	@exec .venv/bin/mneme chat

PYTEST := .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test: .venv/.dev  ## ruff, mypy, and the tests, on SQLite and PostgreSQL
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	scripts/test-browser
	scripts/test-postgres run $(PYTEST)

coverage: .venv/.dev  ## the tests with their coverage, which takes twice as long
	scripts/test-browser
	scripts/test-postgres run $(PYTEST) --cov --cov-report=term

bench: .venv/.dev  ## speed: a turn, a write, a read; many users at once
	@exec .venv/bin/python -m benchmarks.speed

bench-recall: .venv/.dev  ## how often the memory finds the evidence, against BM25 and pooled vectors
	@exec .venv/bin/python -m benchmarks.recall

bench-peers: .venv-peers/.peers  ## recall, speed and size beside mem0, LangGraph's store, Chroma, BM25: docs/science.md
	@exec .venv-peers/bin/python -m benchmarks.baselines --speed

bench-times: .venv/.dev  ## how often "what did I tell you last week about …" finds what was said then
	@exec .venv/bin/python -m benchmarks.times

bench-everyday: .venv/.dev  ## how often recall is right in everyday use, by kind: asking again, whose, time zones, updates …
	@exec .venv/bin/python -m benchmarks.everyday

bench-languages: .venv/.dev  ## how often recall is right in eleven languages, and across them
	@exec .venv/bin/python -m benchmarks.languages

bench-weeks: .venv/.dev  ## whether recall holds over four simulated weeks of one user: docs/figures/weeks.svg
	@exec .venv/bin/python -m benchmarks.everyday_weeks

.peer-dnc/.installed: requirements-networks.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .peer-dnc -r $<
	@touch $@

bench-networks: .venv/.dev .peer-dnc/.installed  ## the networks' time, memory and capacity, beside pytorch-dnc: docs/science.md
	@exec .venv/bin/python -m benchmarks.networks $(PARTS)

bench-answers: .venv/.dev  ## how often a reply is right: written turns of 17 kinds, 117 facts, what was never told
	@.venv/bin/mneme fetch
	@.venv/bin/python -m benchmarks.probes
	@exec .venv/bin/python -m benchmarks.answers --never-told

demo: .venv/.dev  ## a conversation over several sessions, showing what is recalled
	@exec .venv/bin/python -m benchmarks.demo

page-pictures: .venv/.dev  ## take the pictures of docs/page.md anew (needs Chromium)
	@exec .venv/bin/python -m benchmarks.page_pictures

crash: .venv/.dev  ## kill the service while it writes, again and again, and check what it kept
	@exec .venv/bin/python -m benchmarks.crash

.venv-integrations/.installed: requirements-integrations.txt
	@.venv/bin/python -m venv .venv-integrations
	@.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

integrations: .venv/.dev .venv-integrations/.installed  ## other people's programs against a real server, over a restart
	@exec .venv/bin/python -m benchmarks.integrations

openapi: .venv/.dev  ## the OpenAPI document, docs/openapi.json, as the code is now
	@exec .venv/bin/python -c "from app.cli import main; main()" openapi docs/openapi.json

.pdoc/.installed: requirements-reference.txt
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .pdoc -r $<
	@touch $@

reference: .venv/.dev .pdoc/.installed  ## the library's reference, out of its docstrings, to dist/reference/index.html
	@PYTHONPATH=.pdoc exec .venv/bin/python -m pdoc --docformat google -o dist/reference memory_core

compose-check:  ## build, start, use and remove the docker-compose deployment (needs a Docker engine)
	@exec scripts/compose-check

.venv-audit/.audit: requirements-audit.txt
	@python3 -m venv .venv-audit && .venv-audit/bin/pip install -q -r requirements-audit.txt && touch $@

bom: .venv/.service .venv-audit/.audit  ## the software bill of materials (CycloneDX), with licences, to dist/mneme.cdx.json
	@mkdir -p dist && .venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml -o dist/mneme.cdx.json .venv

audit: .venv-audit/.audit  ## known vulnerabilities of the locked packages; needs the network
	@.venv-audit/bin/pip-audit --disable-pip --no-deps -r requirements.txt

soak: .venv/.dev  ## use the service for long (MINUTES=10), with restarts: what grows, what is lost
	@.venv/bin/python -m benchmarks.soak --minutes $(or $(MINUTES),10)

fuzz: .venv/.dev  ## damages a stored memory at random: no server error, no silent other answer (DAMAGES=1000)
	@.venv/bin/python -m benchmarks.damage --damages $(or $(DAMAGES),1000)

clean:  ## remove .venv, .venv-peers, .venv-integrations, .peer-dnc, .pdoc and what the tools left; never data/
	rm -rf .venv .venv-peers .venv-integrations .peer-dnc .pdoc .coverage coverage.xml .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
