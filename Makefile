# The commands of this repository. Each sets up what it needs and skips what is set up.

.DEFAULT_GOAL := help
.PHONY: help dev test check setup dist smoke bench soak clean

bin := .venv/bin

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

dev: ## set up everything, then run the pet store on http://localhost:5173
	@scripts/setup python node ruby examples
	@$(bin)/stepweave dev examples/pet-store

test: ## set up everything, then run every check and every test
	@scripts/setup --all python node ruby examples browser
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/pytest
	npm --prefix runners/node run check
	npm --prefix runners/node test
	@if command -v ruby >/dev/null; then set -x; ruby runners/ruby/test/run.rb; fi

check: ## lint, types and unit tests, in seconds
	@scripts/setup python
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/pytest tests/unit

setup: ## set up everything and run nothing
	@scripts/setup python node ruby examples

dist: ## build wheel and sdist into dist/
	@scripts/setup python node
	rm -rf dist
	$(bin)/python -m build

smoke: ## run the examples as their readers would
	@scripts/setup python node ruby examples
	$(bin)/python examples/smoke.py

bench: ## measure against bare baselines
	@scripts/setup python node ruby examples
	$(bin)/python -m benchmarks

soak: ## hurt it for a while and prove that nothing is lost; ARGS="--help"
	@scripts/setup python node ruby
	@$(bin)/python -m tests.faults.soak $(ARGS)

clean: ## remove all that was set up, built or cached
	rm -rf .venv build dist runners/node/dist workbench/dist
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf runners/node/node_modules workbench/node_modules tests/streams/official/node_modules examples/*/node_modules examples/*/.stepweave
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
