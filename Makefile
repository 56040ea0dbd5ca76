# The front door. The build itself is CMake's; presets are in CMakePresets.json.
#
#   make            build the release in build/release
#   make test       build for debugging and run the tests
#   make sim        run the tests simulated, SEEDS=1000 orders of threads each, or those that match
#                   SUITES="sync|chan": docs/testing.md
#   make demo       see it work
#   make bench      measure it
#   make debug | release | asan | tsan | clang | ucontext     build and test one preset
#   make install    PREFIX=/usr/local DESTDIR=
#   make format     make check
#
# CMAKE_FLAGS go to the configuration: CMAKE_FLAGS=--compile-no-warning-as-error
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
SEEDS ?= 100
SUITES ?= sim
CMAKE_FLAGS ?=
PRESETS := debug release asan tsan clang ucontext

.PHONY: build test sim demo bench install format check clean $(PRESETS)

build:
	@tools/deps build
	cmake --preset release $(CMAKE_FLAGS) >/dev/null
	cmake --build --preset release -j $(JOBS)

test: debug

asan tsan clang: GROUPS := sanitize
$(PRESETS):
	@tools/deps build test $(GROUPS)
	cmake --preset $@ $(CMAKE_FLAGS) >/dev/null
	cmake --build --preset $@ -j $(JOBS)
	ctest --preset $@ -j $(JOBS)

sim:
	@tools/deps build test
	cmake --preset debug $(CMAKE_FLAGS) >/dev/null
	cmake --build --preset debug -j $(JOBS)
	SEAM_SIM_SEEDS=$(SEEDS) ctest --preset debug -L sim -R "$(SUITES)" -j $(JOBS) --timeout 36000

demo: build
	@tools/deps test
	tools/demo

bench: build
	@tools/deps bench
	benches/run.py --build-dir build/release

install: build
	cmake --install build/release --prefix $(PREFIX)

format:
	@tools/deps check
	tools/format

check:
	@tools/deps build check
	tools/check

clean:
	rm -rf build
