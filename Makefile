# Needs Python 3.11 or later and make; everything else goes into .venv, as requirements.lock pins it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 2

# Models and clips that lie beside the checkout are used when they are there.
ifneq ($(wildcard ../shared/models),)
export QURBANI_MODELS ?= $(abspath ../shared/models)
endif
ifneq ($(wildcard ../shared/media),)
export QURBANI_MEDIA ?= $(abspath ../shared/media)
endif

.PHONY: demo test test-slow test-services test-kafka lint bench lock clean
.DEFAULT_GOAL := test

# make demo         the whole story on this machine; stays up
# make demo ONCE=1  checks every step and ends
demo: $(INSTALLED)
	$(BIN)/qurbani demo $(if $(ONCE),--once)

test: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) -m "not slow" --durations=15

test-slow: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) -m slow

# The tests that need servers, against those that are already there. Kafka comes out of its wheel unless it is named.
test-services: export QURBANI_DATABASE_URL ?= postgresql://postgres@127.0.0.1:5432/postgres
test-services: export QURBANI_REDIS_URL ?= redis://127.0.0.1:6379/0
test-services: export QURBANI_MQTT_URL ?= mqtt://127.0.0.1:1883
test-services: $(INSTALLED)
	$(BIN)/pytest -n $(WORKERS) -m "services and not slow"

# The tests of events and of what is killed over them, with a real Apache Kafka: QURBANI_KAFKA, or out of KAFKA_HOME.
test-kafka: $(INSTALLED)
	$(BIN)/python -m tests.apache_kafka $(BIN)/pytest -n $(WORKERS) -m "not slow" \
		tests/integration/cloud/platform tests/integration/cloud/uploads tests/chaos/cloud

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

# make bench NAME=evidence
bench: $(INSTALLED)
	$(BIN)/qurbani bench $(NAME)

# Pin the newest versions that pyproject.toml allows. The file names no index: whichever is configured is used.
lock: $(INSTALLED)
	$(BIN)/uv pip compile --universal --all-extras --generate-hashes --no-header -q -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is several times faster; where it cannot be had or does not know the configured index, pip does the same.
# Compiled once here, or where PYTHONDONTWRITEBYTECODE is set each of the tests' many programs compiles it all again.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Qurbani needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	( $(BIN)/pip install -q uv && $(BIN)/uv pip sync -q --python $(BIN)/python --compile-bytecode --require-hashes requirements.lock ) || \
		$(BIN)/pip install -q --require-hashes -r requirements.lock
	$(BIN)/pip install -q --no-deps -e .
	touch $@
