# Every task of the project. `make demo` and `make test` need Python 3.11+, g++ and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
# torch's own index has smaller CPU builds; TORCH may name one
TORCH ?= torch==2.13.0
# what torch 2.11 brings on a GPU; its interpreter needs this NumPy (3.9 takes any)
TRITON ?= triton==3.6.0 numpy<2.4
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
RUN = $(VENV)/bin/python -m
NATIVE = $(shell find csrc cmake CMakeLists.txt setup.py pyproject.toml -type f)

.PHONY: demo test check lint types native-check stub-check cuda-check triton-check dist-check bench bench-quick bench-compare plot gpu zoo clean

demo: $(VENV)/.installed  ## sweep the example zoo and print the table
	mkdir -p build
	$(VENV)/bin/taskvec sweep examples/zoo -o build/demo.zarr --overwrite

test: $(VENV)/.test  ## every test
	$(RUN) pytest
	TRITON_INTERPRET=1 $(RUN) pytest tests/triton_backend

check: lint types stub-check native-check cuda-check triton-check dist-check  ## what a change must pass besides the tests

lint: $(VENV)/.dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'csrc/*.cuh' 'cmake/*.cu' | xargs $(VENV)/bin/clang-format --dry-run -Werror

types: $(VENV)/.dev
	$(RUN) mypy

stub-check: $(VENV)/.dev
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pybind11-stubgen taskvec_kernels._C -o build/stubs
	diff -u taskvec_kernels/_C.pyi build/stubs/taskvec_kernels/_C.pyi

# the core's own tests, every SIMD level, and the CUDA kernels on emulated blocks, under AddressSanitizer and
# UndefinedBehaviorSanitizer
native-check: $(VENV)/.dev
	$(VENV)/bin/cmake -S . -B build/sanitize -DTASKVEC_PYTHON=OFF -DTASKVEC_TESTS=ON -DTASKVEC_SANITIZE=ON -DTASKVEC_CUDA=off
	$(VENV)/bin/cmake --build build/sanitize -j2
	$(VENV)/bin/ctest --test-dir build/sanitize --output-on-failure -j2

# the CUDA kernels compile for every promised architecture, without spills; needs nvcc and no GPU
cuda-check:
	$(PYTHON) scripts/cuda_check.py

# every variant of the Triton kernels compiled for sm_80, sm_90 and sm_100, and the result read; needs no GPU
triton-check: $(VENV)/.dev
	TRITON_CACHE_DIR=$(CURDIR)/build/triton-cache $(RUN) tests.triton_backend.offline

# a wheel built from the sdist imports and runs in an environment of its own
dist-check: $(VENV)/.dev
	rm -rf build/dist build/dist-venv
	$(RUN) build --outdir build/dist .
	$(PYTHON) -m venv --system-site-packages build/dist-venv
	build/dist-venv/bin/python -m pip --disable-pip-version-check --quiet install --no-deps build/dist/*.whl
	cd build && PYTHONPATH=$$(../$(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  dist-venv/bin/python -c 'import taskvec_kernels as t; print(t.simd_level(), t.__file__); assert "dist-venv" in t.__file__'

bench: $(VENV)/.bench  ## every case beside what one would do instead, to benchmarks/data/<machine>.csv
	$(VENV)/bin/taskvec bench --csv benchmarks/data

bench-quick: $(VENV)/.bench  ## the few cases that say most, printed
	$(VENV)/bin/taskvec bench --quick

plot: $(VENV)/.bench  ## pictures and tables of README.md and docs/PERFORMANCE.md from the rows
	$(RUN) taskvec_bench.publish

# REF: any revision, by default where this branch left main; OPTIONS: those of `python -m taskvec_bench.compare --help`
bench-compare: $(VENV)/.bench  ## today's kernels and those of REF, timed alternately in one run
	$(RUN) taskvec_bench.compare $(if $(REF),--ref '$(REF)') $(OPTIONS)

# needs nothing from the network: the machine's own Python with torch, pytest, pybind11, cmake and nvcc
gpu:  ## on a machine with a GPU: build, gpu tests, compute-sanitizer, benchmarks to benchmarks/data/gpu
	scripts/gpu

zoo: $(VENV)/.installed  ## train examples/zoo again
	$(PIP) install -e '.[zoo]'
	$(VENV)/bin/python examples/train_zoo.py

# torch first: any later request for it is then satisfied
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install '$(TORCH)'
	touch $@

$(VENV)/.installed: $(VENV)/.torch $(NATIVE)
	$(PIP) install -e .
	touch $@

$(VENV)/.test: $(VENV)/.torch $(NATIVE)
	$(PIP) install $(foreach p,$(TRITON),'$(p)') -e '.[test]'
	touch $(VENV)/.installed $@

$(VENV)/.bench: $(VENV)/.torch $(NATIVE)
	$(PIP) install -e '.[bench,peers]'
	touch $(VENV)/.installed $@

$(VENV)/.dev: $(VENV)/.torch $(NATIVE)
	$(PIP) install $(foreach p,$(TRITON),'$(p)') -e '.[test,dev]'
	touch $(VENV)/.installed $(VENV)/.test $@

clean:
	rm -rf build dist $(VENV) *.egg-info taskvec_kernels/*.so
