# Every target does its own set-up, is safe to repeat and quick the second time. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PRESET ?= release
# One compiler a core, but not more than memory allows: a file that includes LibTorch takes about 2 GiB.
JOBS ?= $(shell awk -v cores="$$(nproc)" '/MemTotal/ {n = int($$2 / 2097152); if (n > cores) n = cores; print n < 1 ? 1 : n}' \
                 /proc/meminfo)
RUN := runs/demo
VICHA := build/release/bin/vicha

# Idle threads sleep: spinning ones take the cores away from the loader's threads and from other programs.
export OMP_WAIT_POLICY ?= passive

# A LibTorch of your own: make CMAKE_PREFIX_PATH=<libtorch> …
export CMAKE_PREFIX_PATH ?=
empty :=
CONFIGURE = cmake --preset $(1) --log-level=NOTICE \
            $(if $(CMAKE_PREFIX_PATH),"-DCMAKE_PREFIX_PATH=$(subst :,;,$(CMAKE_PREFIX_PATH))") > /dev/null

.PHONY: help setup build ablation demo demo-seeds demo-sources demo-data demo-scenes test test-data bench bench-tasks asan fuzz core format check docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## install what is missing: Debian packages (apt), LibTorch (.venv)
	@tools/setup.sh

build: setup ## build/release/bin/vicha and vicha_parity
	@$(call CONFIGURE,$(PRESET))
	@cmake --build --preset $(PRESET) -j $(JOBS) --target vicha vicha_parity

demo-sources:
	@tools/setup.sh npm
	@tools/fetch_demo.sh data/sources data/minilm

demo-data: build demo-sources ## the demonstration's pictures and manifests, in data/demo
	@tools/demo.sh data

demo-scenes: build demo-sources ## pictures of several drawings and five tasks on them (VQA, NLVR2's form …), in data/scenes
	@tools/demo.sh scenes

demo: demo-data ## pretrain on drawings of five artists, then with concepts, search those of a sixth, write the report
	@tools/demo.sh run

demo-seeds: demo-data ## then with and without concepts, three seeds each: what concepts are worth here, mean and spread
	@tools/demo.sh seeds

ablation: demo-data ## what each part of the method is worth on the demonstration's drawings: grids of runs, three seeds (LABS=…)
	@tools/ablation.sh $(LABS)

# The tokenizers' tests need BERT's vocabulary, which comes with MiniLM, and CLIP's.
test-data: setup
	@tools/fetch_demo.sh data/sources data/minilm minilm

test: build test-data ## the whole suite
	@cmake --build --preset $(PRESET) -j $(JOBS)
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} ctest --test-dir build/release --output-on-failure -j $(JOBS)

bench-tasks: demo-scenes ## all downstream tasks on the scene set, trained, evaluated and compared (an hour or two); runs/tasks/results.json
	@tools/bench_tasks.sh

bench: build ## ours and the PyTorch peer in all its modes, in turn (tens of minutes; nothing else should run)
	@tools/setup.sh bench
	@tools/bench.sh

asan: setup test-data ## build with address and undefined-behaviour sanitizers, run the suite
	@$(call CONFIGURE,asan)
	@cmake --build --preset asan -j $(JOBS)
	@LSAN_OPTIONS=suppressions=$(CURDIR)/tools/lsan.supp:print_suppressions=0 OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} ctest --test-dir build/asan --output-on-failure -j $(JOBS)

fuzz: setup ## damaged files for every reader under the sanitizers, FUZZ_SECONDS (600) each; FUZZ="pth tar": these alone
	@tools/setup.sh fuzz
	@$(call CONFIGURE,fuzz)
	@cmake --build --preset fuzz -j $(JOBS) --target $(if $(FUZZ),$(addprefix vicha_fuzz_,$(FUZZ)),vicha_fuzz)
	@tools/fuzz.sh $(FUZZ)

core: setup ## the part that needs LibTorch and header-only libraries alone, in build/core
	@$(call CONFIGURE,core)
	@cmake --build --preset core -j $(JOBS)

format: setup ## format all sources in place
	@tools/format.sh

check: build ## what CI checks beside the suite: format, room table, generated documentation
	@tools/format.sh --check
	@tools/check_includes.sh
	@tools/check_docs.sh

docs: build ## write docs/config.md anew
	@$(VICHA) config docs > build/config.md && mv build/config.md docs/config.md

clean: ## remove what was built (not data/, runs/ or .venv)
	@rm -rf build
