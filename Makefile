# `make demo` and `make test` set up all they need in .venv: only Python (>= 3.11) and make must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pytest-xdist workers; TensorFlow's log lines about missing GPUs are noise on a machine without one.
WORKERS ?= 2
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Modules are compiled when they are first imported, and that is kept, whatever the machine says: hundreds of processes
# start here, and compiling TensorFlow takes each of them ten seconds.
export PYTHONDONTWRITEBYTECODE :=

# What the API pages document; the lazy top level only points at these.
API := leaky_zoo.geometry leaky_zoo.layers leaky_zoo.networks leaky_zoo.data leaky_zoo.flow.evaluation leaky_zoo.analysis leaky_zoo.training leaky_zoo.sweeps \
  leaky_zoo.zoo.index leaky_zoo.zoo.preset leaky_zoo.zoo.loading leaky_zoo.zoo.saving leaky_zoo.zoo.training_data leaky_zoo.publishing.publish leaky_zoo.deploy.export leaky_zoo.runtime.inspect leaky_zoo.runtime.model \
  leaky_zoo.deploy.zoo_models leaky_zoo.runtime.verify

.PHONY: demo test coverage lint bench soak docs web compressed lock clean

demo: $(READY)
	$(BIN)/leaky-zoo demo --out demo

# Everything on TensorFlow, then the numerics again on JAX. The workers fill the cores: one thread each; and a file stays
# with one worker, so that what its tests share is made once.
PYTEST = TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
ON_JAX := tests/geometry/test_geometry_euler.py tests/layers tests/networks tests/analysis tests/test_random_models.py
# Most of the time on JAX is compiling what runs once: as little of it as can be.
COMPILED_FAST := --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false
test: $(READY)
	KERAS_BACKEND=tensorflow $(PYTEST) tests leaky_zoo
	KERAS_BACKEND=jax XLA_FLAGS="$(COMPILED_FAST)" $(PYTEST) $(ON_JAX)

# As `make test` on TensorFlow, with the lines that no test reaches; an eighth slower.
coverage: $(READY)
	rm -f .coverage .coverage.*
	KERAS_BACKEND=tensorflow $(PYTEST) tests leaky_zoo --cov --cov-report=
	$(BIN)/python -m coverage report --fail-under=90

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks.speed.onnx_latency
	$(BIN)/python -m benchmarks.speed.step_size_overhead
	$(BIN)/python -m benchmarks.speed.loop_speed
	$(BIN)/python -m benchmarks.speed.replicas

# Time and memory of an audit; MNIST through TFDS, or TFDS_DATA_DIR.
audit-cost: $(READY)
	$(BIN)/python -m benchmarks.speed.audit_cost

# Kills real trainers at random moments and compares what they resume to: `make soak KILLS=100`.
KILLS ?= 3
soak: $(READY)
	$(BIN)/python -m benchmarks.robustness.soak --kills $(KILLS)

docs: $(READY)
	$(BIN)/python -m benchmarks.tables
	$(BIN)/python docs/rooms.py
	$(BIN)/python docs/recipes.py
	$(BIN)/python docs/render.py
	$(BIN)/python docs/api.py $(API)

# The compressed files beside the presets' own in export/; MNIST through TFDS, or TFDS_DATA_DIR. Half an hour.
COMPRESS = $(BIN)/leaky-zoo compress $(1) --max-drop 0.1 --distill 30 --int8 --out export/$(1)/compressed_int8.onnx
compressed: $(READY)
	$(call COMPRESS,leaky_mlp_mnist_l6.8_equidistant)
	$(call COMPRESS,leaky_conv_mnist_l3_equidistant) --steps 4 --no-monitor

# The zoo in a browser, on this machine alone: http://127.0.0.1:8000/web/. Needs npm for onnxruntime-web.
PORT ?= 8000
web: $(READY)
	cd export/web && npm ci
	$(BIN)/python export/web/manifest.py
	@echo "open http://127.0.0.1:$(PORT)/web/ and end with Ctrl-C"
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory export $(PORT)

# Resolve the pinned versions again from pyproject.toml.
lock: $(READY)
	$(BIN)/pip-compile --extra dev --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --unsafe-package leaky-zoo --unsafe-package pip \
	  --no-header --annotation-style line --upgrade -o requirements.lock pyproject.toml

# By uv, which is quicker than pip; by pip where uv does not get through. Modules are not compiled in advance:
# what is used is compiled when it is first imported, a quarter of them.
INDEX = $(or $(PIP_INDEX_URL),$(shell $(BIN)/pip config get global.index-url 2>/dev/null))
define INSTALL
$(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(INDEX),--default-index $(INDEX)) $(1) || \
	  $(BIN)/pip install --quiet --disable-pip-version-check --no-compile $(1)
endef

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "leaky-zoo needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile "$$(grep -o '^uv==[^ ]*' requirements.lock)"
	$(call INSTALL,-r requirements.lock)
	$(call INSTALL,--no-deps -e .)
	touch $(READY)

clean:
	rm -rf $(VENV) build demo .coverage* .pytest_cache .ruff_cache .mypy_cache .hypothesis
