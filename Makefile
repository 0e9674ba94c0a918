# Each target calls `setup` first and needs nothing else.
.PHONY: setup run test check bench screenshots clean

setup:
	@dev/setup.sh

run: setup
	@dev/run.sh

test:
	@dev/setup.sh test
	@dev/test.sh

check: setup
	@dev/check.sh

bench:
	@dev/setup.sh bench
	@dev/bench.sh

screenshots:
	@dev/setup.sh screenshots
	@dev/screenshots.sh

clean:
	rm -rf .venv build dist *.egg-info
