# Every target sets up what it needs, and is fast the second time.
SHELL := /bin/bash
PY := .venv/bin/python
MEMBERS := $(wildcard shared/*/pyproject.toml services/*/pyproject.toml client/pyproject.toml deploy/local/pyproject.toml)
# Processes that run tests, each with servers of its own.
JOBS ?= 2
DISTRIBUTIONS := client ingest embedder retriever local
SOURCES := client deploy/local services shared tests benchmarks docs examples


.PHONY: help setup up demo test test-containers fuzz fuzz-bytes isolation check format reliability machines bench quality everyday peers fuzz-http sbom lock requirements docs clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.ready ## make .venv with everything, from the pinned requirement files

# uv is the installer; it is put into .venv so that nothing outside this folder changes.
.venv/bin/uv:
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt

.venv/.ready: .venv/bin/uv requirements/dev.txt $(MEMBERS)
	.venv/bin/uv pip install --quiet --python $(PY) --require-hashes --no-deps -r requirements/dev.txt
	.venv/bin/uv pip install --quiet --python $(PY) --no-deps $(foreach m,$(MEMBERS),-e $(dir $(m)))
	@touch $@

up: setup ## start the local stack in the foreground
	.venv/bin/memstream up

demo: setup ## send a sample conversation and search it, on a temporary stack
	.venv/bin/memstream demo

# Files in the order of their names: those of many quick tests come last, and fill what is left of both processes' time.
test: setup ## run the tests, the same in every run
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-containers: setup ## build the images, and run docker-compose.yml under load (needs a Docker engine)
	$(PY) -m pytest tests/containers --containers

fuzz: setup ## run the property tests with new examples each time: make fuzz EXAMPLES=10000 SEED=7
	$(PY) -m pytest -m hypothesis -n $(JOBS) --fuzz $(or $(EXAMPLES),1000) --timeout 3600 $(if $(SEED),--hypothesis-seed $(SEED))

fuzz-bytes: setup ## fuzz what reads bytes from outside, guided by coverage: make fuzz-bytes RUNS=1000000
	PYTHONPATH=tests $(PY) -m fuzzing --runs $(or $(RUNS),100000)

isolation: setup ## ask as random users of several tenants, and compare with a model: make isolation REQUESTS=100000
	PYTHONPATH=tests $(PY) -m isolation --requests $(or $(REQUESTS),10000) --seed $(or $(SEED),1)

check: setup .venv/.scanned ## check format, lint, types, secrets and known vulnerabilities
	.venv/bin/ruff format --check $(SOURCES)
	.venv/bin/ruff check $(SOURCES)
	.venv/bin/mypy $(MEMBERS:%/pyproject.toml=%/src) tests benchmarks docs examples
	$(PY) docs/export.py --check
	.ci/audit

# Scans the files that have changed since the last time. A line that only looks like a secret has the comment
# `pragma: allowlist secret`.
.venv/.scanned: $(wildcard $(shell git ls-files)) | .venv/.ready
	@printf '%s\0' $? | xargs -0 -n 200 -P 2 .venv/bin/detect-secrets-hook --no-verify --baseline .secrets.baseline
	@touch $@

format: setup ## format the sources and fix what can be fixed automatically
	.venv/bin/ruff format $(SOURCES)
	.venv/bin/ruff check --fix $(SOURCES)

reliability: setup ## test the guarantees under seeded faults: make reliability RUNS=200 SEED=1 [PLAN=erasure], [PLAN=machines QDRANT=FILE JOBS=1]
	$(PY) -m pytest tests/reliability -n $(JOBS) --dist worksteal --seed $(or $(SEED),1) --runs $(or $(RUNS),20) $(if $(PLAN),--plan $(PLAN)) $(if $(QDRANT),--qdrant-binary $(QDRANT)) --report build/reliability/report.json

machines: setup ## lose servers, or replace services, under load on hosts of their own: make machines QDRANT=FILE [WHAT=upgrade] [OPTIONS="--messages 50"]
	@test -n "$(QDRANT)" || { echo "say where a Qdrant server's binary is: make machines QDRANT=FILE"; exit 2; }
	PYTHONPATH=tests $(PY) -m machines $(or $(WHAT),loss) --qdrant-binary $(QDRANT) $(OPTIONS)

bench: setup ## measure speed: make bench [MESSAGES=FILE.jsonl], and with FULL=1 the figures of docs/benchmarks.md
	$(PY) -m benchmarks $(if $(FULL),--full --results benchmarks/results --report docs/benchmarks.md) $(if $(MESSAGES),--messages $(MESSAGES))

quality: setup ## measure retrieval quality on judged data sets: make quality DATA=FOLDER, and with FULL=1 docs/quality.md, each set by a fit to the others
	@test -n "$(DATA)" || { echo "say where the sets are: make quality DATA=FOLDER"; exit 2; }
	$(PY) -m benchmarks.quality --data $(DATA) $(if $(FULL),--full --keep build/quality --json build/quality/report.json --report docs/quality.md)

everyday: setup ## ask everyday questions, and for notes in long histories: make everyday [SIZES="0 20 200 2000"]
	$(PY) -m benchmarks.quality.everyday --histories $(if $(SIZES),--sizes $(SIZES))

build/peers/.ready: .venv/bin/uv requirements/peers.txt
	.venv/bin/uv venv --quiet --clear build/peers
	.venv/bin/uv pip install --quiet --python build/peers/bin/python --require-hashes --no-deps -r requirements/peers.txt
	@touch $@

peers: setup build/peers/.ready ## compare with other memories, in an environment of their own: make peers DATA=FOLDER
	@test -n "$(DATA)" || { echo "say where the set is: make peers DATA=FOLDER"; exit 2; }
	$(PY) -m benchmarks.peers --data $(DATA) --json .bench/peers.json
	$(PY) -m benchmarks.report .bench/peers.json --output .bench/peers.md

build/fuzz-http/.ready: .venv/bin/uv requirements/fuzz-http.txt
	.venv/bin/uv venv --quiet --clear build/fuzz-http
	.venv/bin/uv pip install --quiet --python build/fuzz-http/bin/python --require-hashes --no-deps -r requirements/fuzz-http.txt
	@touch $@

# Schemathesis has an environment of its own.
fuzz-http: setup build/fuzz-http/.ready ## ask both services what their OpenAPI documents allow and forbid: make fuzz-http EXAMPLES=1000 SEED=7
	PYTHONPATH=tests $(PY) -m schema_fuzzing --examples $(or $(EXAMPLES),100) --seed $(or $(SEED),1)

build/sbom/.ready: .venv/bin/uv requirements/sbom.txt
	.venv/bin/uv venv --quiet --clear build/sbom
	.venv/bin/uv pip install --quiet --python build/sbom/bin/python --require-hashes --no-deps -r requirements/sbom.txt
	@touch $@

# From what is installed, as the images are made; the base image's parts are its own publisher's to list.
sbom: setup build/sbom/.ready ## list what each image has from us and from PyPI, as CycloneDX: build/sbom/ingest.cdx.json, …
	for s in ingest embedder retriever; do rm -rf build/sbom/$$s && PATH=$$PWD/.venv/bin:$$PATH PYTHON=$(PY) deploy/install-service $$s build/sbom/$$s \
	&& build/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject services/$$s/pyproject.toml --output-file build/sbom/$$s.cdx.json build/sbom/$$s/bin/python \
	&& rm -r build/sbom/$$s || exit 1; done

lock: .venv/bin/uv ## update the pinned requirement files
	echo uv | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/build.txt -
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/peers.txt requirements/peers.in
	echo schemathesis | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/fuzz-http.txt -
	echo cyclonedx-bom | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/sbom.txt -
	.venv/bin/uv lock --quiet --upgrade
	$(MAKE) requirements

requirements: .venv/bin/uv ## write the requirement files from the resolver's lock
	mkdir -p requirements
	.venv/bin/uv export --quiet --frozen --no-header --no-emit-workspace --format requirements.txt --output-file requirements/dev.txt
	for d in $(DISTRIBUTIONS); do .venv/bin/uv export --quiet --frozen --no-header --no-emit-workspace --no-dev --package memstream-$$d --format requirements.txt --output-file requirements/$$d.txt || exit 1; done

docs: setup ## write schemas, OpenAPI, AsyncAPI and the list of ranking features
	$(PY) docs/export.py

clean: ## remove what the targets above created
	rm -rf .venv build/peers build/fuzz-http build/sbom .mypy_cache .ruff_cache .pytest_cache .hypothesis
