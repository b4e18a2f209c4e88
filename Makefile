# A table of contents; every target is a script that works without make.

.DEFAULT_GOAL := help
.PHONY: help server test check main-job faults fuzz bench bench-full bench-client bench-peers clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 13

server: ## serve S3 from ./s3al-data on 127.0.0.1:9000
	@script/server

test: ## run all tests, real clients included
	@script/test

check: ## style, types, import map, sizes: under a minute
	@script/check

main-job: ## the main job at full size, in every mode: thousands of files, 2 GiB, kills, scan (an hour)
	@PYTHONPATH=tests .venv/bin/python -m support.main_job

faults: ## 200 times kill -9 under mixed load, and a look at everything after each (half an hour): make faults KILLS=N SEED=N
	@PYTHONPATH=tests .venv/bin/python -m faults.campaign $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

fuzz: ## coverage-guided fuzzing of every parser with atheris, a minute each: make fuzz SECONDS=N
	@tests/fuzz/run $(SECONDS)

bench: ## speed against the bound, in under five minutes (needs wrk, curl)
	@.venv/bin/python bench/run.py

bench-full: ## every mode, more rounds, more memory
	@.venv/bin/python bench/run.py --full

bench-client: ## the encryption client beside AWS's and plain boto3, and the async one (ten minutes; needs AWS's client from PyPI)
	@.venv/bin/python bench/client_throughput.py
	@.venv/bin/python bench/client_async.py

bench-peers: ## the same load on other servers, built with go (the first time takes long)
	@.venv/bin/python bench/peers.py

conformance: ## run a checkout of ceph/s3-tests and compare with the table: make conformance SUITE=PATH
	@.venv/bin/python tests/conformance/run.py $(SUITE)

clean: ## remove environments and caches, never data
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
