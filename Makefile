# The two commands a newcomer types: make demo, make test. Each does all of its own set-up.
.PHONY: help setup demo test test-slow check bench bench-lowering peers clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s '	'

setup:           ## create .venv and install everything into it
	@scripts/setup

demo: setup      ## lower EfficientNet-Lite0 to Core ML and classify a photograph with it here
	@.venv/bin/python -W ignore::FutureWarning -m examples.demo

check: setup     ## format, lint, types and the tests that are not slow
	@scripts/check

test: setup      ## what CI runs: check, from a fresh clone
	@scripts/check

test-slow: setup ## the long matrices and large networks
	@.venv/bin/python -m pytest -q -m slow

bench: setup     ## measure this project beside its peers (a quarter of an hour, on an idle machine)
	@.venv/bin/python -m pip --disable-pip-version-check install --quiet --no-build-isolation --editable ".[bench]"
	@.venv/bin/python -W ignore -m benchmarks

peers: setup     ## run coremltools' own tests on this engine (hours; continues where it stopped)
	@.venv/bin/python -m pip --disable-pip-version-check install --quiet --no-build-isolation --editable ".[peers]"
	@.venv/bin/python -m tests.peers

bench-lowering: setup ## measure the cost of lowering beside executorch's own backend
	@.venv/bin/python -m benchmarks.lowering

clean:           ## remove what the targets above made
	rm -rf .venv build dist demo-out bench-out peers-out
