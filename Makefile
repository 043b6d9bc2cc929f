# Targets for people; `make` alone lists them. The work is in scripts/.
#
#   LLAMA=ollama          build against the llama.cpp that Ollama serves, in the Go module that go.mod pins,
#                         instead of the newest one that PyPI holds (scripts/llama.pin)
#   LLAMA_CPP_DIR=/path   build against a llama.cpp checkout
#   PORTABLE=1            build for x86-64-v3 instead of this machine's CPU
#   CUDA=1                build for the GPU; CUDA_ARCHITECTURES=90 (default: the GPUs that are here), CUDA_HOME=/path
#   BIN=bin/llmscale      where `make build` puts the program
#   CHARTS=0              build without the chart library of the pages, which the first build fetches from npm
# Each such configuration has a build folder of its own, so that switching rebuilds nothing.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN          ?= bin/llmscale
CONFIG       ?= $(if $(filter 1,$(CUDA)),configs/scaling-gpu.yaml,configs/scaling.yaml)
SWEEP_FLAGS  ?=
TEST_FLAGS   ?=
BENCH        ?= .
FUZZ_SECONDS ?= 600

export LLAMA LLAMA_CPP_DIR PORTABLE CMAKE_FLAGS CHARTS CUDA CUDA_ARCHITECTURES CUDA_HOME

# Builds the native half and loads the settings with which Go links it.
with_native = native=$$(scripts/native) && . "$$native/go.env"

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | column -t -s $$'\t' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install the system packages that the build needs
	@scripts/setup

.PHONY: native
native: ## build llama.cpp, ggml and the shim as static libraries
	@scripts/native >/dev/null

.PHONY: cuda-toolkit
cuda-toolkit: ## fetch a CUDA toolkit without root, where there is none (CUDA=1 finds it)
	@scripts/setup python
	@scripts/cuda-toolkit

.PHONY: charts
charts: ## fetch the chart library that the program embeds
	@scripts/charts

.PHONY: build
build: charts ## build bin/llmscale
	@$(with_native) && go build -o $(BIN) ./cmd/llmscale

.PHONY: builds
builds: setup ## build llmscale in several ways into bin/, for configs/builds.yaml (BUILDS="llmscale llmscale-plain ...")
	@scripts/builds $(BUILDS)

.PHONY: sweep
sweep: setup ## write the models, measure, analyse, report (SWEEP_FLAGS, CONFIG)
	@$(MAKE) --no-print-directory build
	@$(BIN) sweep --config $(CONFIG) $(SWEEP_FLAGS)

.PHONY: test
test: test-pure test-native ## all tests, without and with the native half (TEST_FLAGS)

.PHONY: test-pure
test-pure: setup charts ## all tests that need no llama.cpp
	@echo 'go test, CGO_ENABLED=0' && CGO_ENABLED=0 go test -timeout 30m $(TEST_FLAGS) ./...

# llama.cpp's threads spin while they wait for each other, so that two programs on the
# same cores slow each other down a hundredfold. Tests measure nothing, so there the
# threads sleep instead, and two packages run at a time. These are the packages that
# have files for it: the others are the same.
.PHONY: test-native
test-native: setup charts ## the tests of the packages that have a native half
	@$(with_native) && echo 'go test -tags native' && go build ./... && \
		packages=$$(grep -rlE '^//go:build .*(native|cuda)' --include='*.go' */ | xargs -n1 dirname | sort -u | sed 's,^,./,') && \
		OMP_WAIT_POLICY=passive go test -timeout 30m -p 2 $(TEST_FLAGS) $$packages

# The tables of docs/error-rates.md, docs/statistics.md and docs/compare.md: minutes.
.PHONY: simulations
simulations: ## all simulations as often as the documents say, held against their tables
	@CGO_ENABLED=0 LLMSCALE_TRIALS=all go test -timeout 60m ./analysis/...

.PHONY: lint
lint: setup ## formatting, vet, staticcheck, shellcheck
	@scripts/lint

.PHONY: fuzz
fuzz: ## all fuzz targets, one after the other (FUZZ_SECONDS for each)
	@scripts/fuzz $(FUZZ_SECONDS)

.PHONY: bench
bench: setup ## benchmarks (BENCH=regexp)
	@$(with_native) && go test -p 1 -run '^$$' -bench '$(BENCH)' ./...

.PHONY: update-llama
update-llama: setup ## move to the newest llama.cpp that PyPI holds, test it, and compare its speed with the old
	@scripts/update-llama $(VERSION)

.PHONY: test-ollama-llama
test-ollama-llama: setup ## native tests against the llama.cpp that Ollama serves (LLAMA=ollama)
	@export LLAMA=ollama LLAMA_CPP_DIR= && $(with_native) && OMP_WAIT_POLICY=passive go test -timeout 30m -p 2 $(TEST_FLAGS) ./native/...

# -count=1: what the server does is no input that Go knows of.
.PHONY: test-ollama
test-ollama: setup ## tests against a real Ollama server, which it builds
	@scripts/ollama build >/dev/null
	@$(with_native) && LLMSCALE_TEST_OLLAMA=1 OLLAMA_DEBUG=1 OMP_WAIT_POLICY=passive scripts/ollama run -- go test -p 1 -count=1 -run '^TestServer' $(TEST_FLAGS) ./runner/ollama/ ./cmd/llmscale/

.PHONY: test-slurm
test-slurm: setup ## a sweep on a real Slurm on this machine, which it starts and stops (root; installs Debian's slurm-wlm and munge)
	@$(with_native) && LLMSCALE_TEST_SLURM=1 OMP_WAIT_POLICY=passive scripts/slurm run -- go test -count=1 -run '^TestSlurm' $(TEST_FLAGS) ./cmd/llmscale/

.PHONY: peers
peers: ## compare with llama-bench, llama-batched-bench and PyTorch on the same files; RUN=DIR: llama-bench on the files of that run
	@scripts/setup python
	@scripts/peers $(if $(RUN),--run "$(RUN)")

.PHONY: real-model
real-model: ## sweep a trained model, Gemma 3 270M, which it fetches (own terms)
	@scripts/setup python
	@$(MAKE) --no-print-directory build
	@model=$$(scripts/real-model) && LLMSCALE_GEMMA3_270M=$$model $(BIN) sweep --config configs/real-model.yaml $(SWEEP_FLAGS)

.PHONY: cuda-check
cuda-check: setup ## the CUDA half as far as it can be checked without a GPU (fetches a toolkit where there is none)
	@scripts/setup python
	@scripts/cuda-toolkit --find >/dev/null 2>&1 || scripts/cuda-toolkit >/dev/null
	@scripts/cuda-check

.PHONY: ggml-cuda
ggml-cuda: setup ## compile llama.cpp's CUDA backend: a quarter of an hour for one architecture on two cores
	@CUDA=1 scripts/native

.PHONY: gpu-check
gpu-check: setup ## all tests and measurements that need a GPU, in a quarter of an hour, into results/DATE-GPU
	@$(MAKE) --no-print-directory CUDA=1 build
	@CUDA=1 scripts/gpu-tests >/dev/null
	@gpu=$$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n1 | tr 'A-Z ' 'a-z-'); scripts/gpu-check "results/$$(date +%F)-$${gpu:-gpu}"

.PHONY: gpu-bundle
gpu-bundle: setup ## pack program, tests and configs for a GPU machine without Go: build/llmscale-gpu.tar.xz
	@scripts/cuda-toolkit --find >/dev/null 2>&1 || scripts/cuda-toolkit >/dev/null
	@scripts/gpu-bundle

.PHONY: schema
schema: build ## write docs/schema.md and docs/tables.md from the declarations of records and tables
	@$(BIN) schema >docs/schema.md.new && mv docs/schema.md.new docs/schema.md
	@$(BIN) schema --tables >docs/tables.md.new && mv docs/tables.md.new docs/tables.md

.PHONY: licences
licences: build ## write docs/licences.md: what is linked into the program
	@scripts/licences >docs/licences.md.new && mv docs/licences.md.new docs/licences.md

.PHONY: ci
ci: ## all that must hold before a change goes in
	@.ci/run

.PHONY: clean
clean: ## remove what the build made; keeps runs/, models/ and .cache/
	rm -rf bin build
