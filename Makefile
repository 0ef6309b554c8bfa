# Needs Go, make and coreutils; git and a C compiler are used where they are there.

GO       ?= go
FUZZTIME ?= 1m
BENCH    ?= .
PEER     ?=
PKG      ?= ./...
VERSION  ?= 0.1.0-dev
DEMO     ?= --data_prefix synth:tiny --train_config rw.yml

LINT_VERSION := v2.15.0
LINT         := .tools/bin/golangci-lint-$(LINT_VERSION)

# Packages that start goroutines, or are run by several.
RACE := ./cmd/... ./cuda/... ./formats/... ./loader/... ./samplers/... ./trainer/... ./internal/...

# The race detector makes the interpreter of kernels, in which the tests of cuda spend their time, five times
# slower. It watches it in the tests of WATCHED, whose blocks run in parallel.
UNWATCHED := -gcflags=github.com/saint-gnn/saint/cuda/internal/ptx=-race=false
WATCHED   := '^Test(Training|CodesAreTheCPUs|MadeRows|GemmTiles)$$'

# Builds with the CUDA binding: its header, and an empty library in place of the driver's.
CUDA_ENV = CGO_ENABLED=1 CGO_CFLAGS='-O2 -g "-I$(CURDIR)/.tools/cuda/include"' \
	CGO_LDFLAGS='-O2 -g "-L$(CURDIR)/.tools/cuda/lib"'

# What 'make check' does before its last stage, the plain test run.
STAGES := build-all cross lint tidy-check generate-check ptx-check test-cuda-host test-noasm test-isa test-release test-race examples

define HELP
make demo         build bin/saint, train on a generated graph, compare with a features-only model
make build        build bin/saint
make cuda         build bin/saint with CUDA (linux; Go and gcc, no CUDA toolkit); it runs without a driver too
make dist         release archives for linux and macOS with their checksums in dist (VERSION=0.1.0; Python with pip)
make test         all tests with the checks of -tags invariants
make check        everything that CI checks, and then make test
make bench        all benchmarks (BENCH=regexp PKG=./internal/...)
make bench-peer   saint and PyTorch, PyG and DGL in turn, with ratios (Python; PEER="--presets ppi-like --what step")
make bench-table  saint's own figures into docs/bench, in a file named after the machine
make cover        test coverage, total and by function in cover.out
make generate     write the assembly of the kernels anew from its generators
make ptx          compile the CUDA kernels to PTX anew (Python with pip; no GPU), and show their registers
make fuzz         every fuzz target in turn (FUZZTIME=1m each)
make interop      files and scores against NumPy, SciPy, Arrow, scikit-learn, … (needs Python 3.10 to 3.13)
make golden       write the reference values of the tests anew (needs Python with PyTorch)

make test-race    tests under the race detector (needs a C compiler)
make test-noasm   tests of the kernels in portable Go
make test-isa     tests of the kernels with AVX2 and with portable Go chosen at run time
make test-release tests without the checks of -tags invariants: those of allocations
make test-nocgo   all tests built without cgo
make examples     vet and test the programs below examples, each a module of its own
make build-all    compile every package, with and without cgo
make test-cuda    tests and figures on a GPU, into docs/bench (bin/test-cuda/run.sh does it where there is no Go); exit code 4 without one
make test-cuda-files  build what they need into bin/test-cuda, and bin/test-cuda.tar.gz (22 MB) of it to carry
make test-cuda-host  what 'make cuda' builds: vet, and tests of its host side, which need no GPU (skipped without gcc)
make cross        vet for -tags noasm, linux/arm64, macOS and Windows
make ptx-check    compare the PTX with its sources compiled anew, and assemble it (skipped where pip cannot install)
make lint         golangci-lint with the import rules (built into .tools on first use)
make fmt          format all files
make tidy         go mod tidy
make clean        remove bin and cover.out
endef

.PHONY: help demo build cuda cuda-header dist test-cuda test-cuda-files test-cuda-host ptx ptx-check test check bench bench-peer bench-table cover generate fuzz interop golden test-race test-noasm test-isa \
	test-release test-nocgo examples build-all cross lint fmt tidy tidy-check generate-check clean

help:
	$(info $(HELP))
	@:

demo: build
	bin/saint train $(DEMO) --baseline --no_cache

build:
	$(GO) build -o bin/saint ./cmd/saint

cuda: cuda-header
	$(CUDA_ENV) $(GO) build -tags cuda -o bin/saint ./cmd/saint

# The binding's C header, made of what the Go module carries.
cuda-header:
	@$(GO) run ./tools/cudaheader .tools/cuda

# Archives are the same on every machine with the same Go: the C part comes from a compiler that brings
# its own C library, the oldest that Go still runs on.
dist: cuda-header .tools/zig/ready
	ZIG_GLOBAL_CACHE_DIR=$(CURDIR)/.tools/zig/cache $(GO) run ./tools/dist -version $(VERSION) -cuda .tools/cuda \
		-cc '$(CURDIR)/.tools/zig/bin/python -m ziglang cc -target x86_64-linux-gnu.2.17'

.tools/zig/ready: tools/dist/requirements.txt
	python3 -m venv .tools/zig
	.tools/zig/bin/pip install -q -r tools/dist/requirements.txt
	@touch $@

test-cuda-host:
	@if [ "$$($(GO) env GOOS)" = linux ] && command -v "$$($(GO) env CC)" >/dev/null; then \
		$(MAKE) --no-print-directory cuda-header && $(CUDA_ENV) $(GO) vet -tags cuda ./cuda/... ./cmd/saint && \
		$(CUDA_ENV) $(GO) run ./tools/testsum -race $(UNWATCHED) -short -tags cuda,invariants ./cuda/... && \
		$(CUDA_ENV) $(GO) test -tags cuda -run Device ./cmd/saint && \
		$(GO) test -tags cudafake -run Fake ./cmd/saint; \
	else echo "skipped: the CUDA build needs Linux and a C compiler"; fi

test-cuda: test-cuda-files
	sh bin/test-cuda/run.sh docs/bench

# All that 'sh bin/test-cuda/run.sh' needs on a machine with a driver but without Go or network.
test-cuda-files: cuda-header
	@mkdir -p bin/test-cuda/kernels
	$(CUDA_ENV) $(GO) build -tags cuda -ldflags '-s -w' -o bin/test-cuda/saint ./cmd/saint
	$(CUDA_ENV) $(GO) test -tags cuda -ldflags '-s -w' -c -o bin/test-cuda/cuda.test ./cuda
	cp cuda/kernels/*.ptx bin/test-cuda/kernels
	cp tools/testcuda/run.sh bench/peer_torch.py bin/test-cuda
	cd bin && tar -czf test-cuda.tar.gz test-cuda

test:
	@$(GO) run ./tools/testsum -tags invariants $(PKG)

check:
	@set -e; report=; for stage in $(STAGES); do \
		echo "==> make $$stage"; start=$$(date +%s); $(MAKE) --no-print-directory $$stage; \
		took="$$stage $$(($$(date +%s) - start)) s"; echo "==> $$took"; report="$$report, $$took"; \
	done; echo "==> in all$$report"; echo "==> make test"
	@$(MAKE) --no-print-directory test

bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

bench-table: build
	bin/saint bench all --markdown docs/bench

# Environments of their own: PyG's compiled parts and DGL need not fit the newest PyTorch.
bench-peer: build .tools/peer/ready
	@sh bench/samplers.sh .tools
	.tools/peer/bin/python bench/compare.py --saint bin/saint --python .tools/peer/bin/python \
		$$(cat .tools/peer/samplers) $(PEER)

.tools/peer/ready: bench/requirements.txt
	python3 -m venv .tools/peer
	.tools/peer/bin/pip install -q -r bench/requirements.txt
	@touch $@

ptx: .tools/ptx/ready
	.tools/ptx/bin/python tools/ptx/compile.py write

ptx-check:
	@if $(MAKE) -s .tools/ptx/ready >/dev/null 2>&1; then .tools/ptx/bin/python tools/ptx/compile.py check; \
	else echo "skipped: Python with pip and its index are needed"; fi

# NVIDIA's compiler and assembler as Python packages: the work is the compiler's, not Python's.
.tools/ptx/ready: tools/ptx/requirements.txt
	python3 -m venv .tools/ptx
	.tools/ptx/bin/pip install -q -r tools/ptx/requirements.txt
	@touch $@

cover:
	$(GO) test -tags invariants -coverpkg ./... -coverprofile cover.out $(PKG)
	$(GO) tool cover -func cover.out | tail -n 1

generate:
	$(GO) generate ./...

fuzz:
	@sh tools/fuzz.sh $(FUZZTIME)

# The packages are installed into .tools on first use.
interop:
	@GO='$(GO)' sh tools/interop/run.sh

golden:
	@set -e; for script in $$(find . -name make_golden.py); do echo $$script; python3 $$script; done

test-race:
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ]; then $(GO) run ./tools/testsum -race $(UNWATCHED) -short -tags invariants $(RACE) && \
		$(GO) run ./tools/testsum -race -short -tags invariants ./cuda/internal/ptx && \
		$(GO) run ./tools/testsum -race -short -tags invariants -run $(WATCHED) ./cuda; \
	else echo "skipped: the race detector needs cgo and a C compiler"; fi

test-noasm:
	@$(GO) run ./tools/testsum -tags invariants,noasm ./internal/... ./trainer/nn/...

# The set is chosen before tests start, where go test does not see that the variable was read:
# without -count 1 it would repeat the result of another set from its cache. Where AMX is the default,
# AVX-512 is another set, too.
test-isa:
	@if grep -qs amx_bf16 /proc/cpuinfo; then SAINT_ISA=avx512 $(GO) run ./tools/testsum -count 1 -tags invariants ./internal/...; fi
	@SAINT_ISA=avx2 $(GO) run ./tools/testsum -count 1 -tags invariants ./internal/...
	@SAINT_ISA=generic $(GO) run ./tools/testsum -count 1 -tags invariants ./internal/...

test-release:
	@$(GO) run ./tools/testsum -short $(PKG)

test-nocgo:
	@CGO_ENABLED=0 $(GO) run ./tools/testsum -tags invariants $(PKG)

examples:
	@set -e; for dir in examples/*/; do echo $$dir; (cd $$dir; $(GO) vet ./...; $(GO) test ./...); done

build-all:
	$(GO) build ./...
	CGO_ENABLED=0 $(GO) build ./...

cross:
	$(GO) vet -tags noasm ./...
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $(GO) vet ./...

lint: $(LINT)
	$(LINT) run --allow-parallel-runners ./...

fmt: $(LINT)
	$(LINT) fmt ./...

$(LINT):
	@echo "building golangci-lint $(LINT_VERSION): some minutes, once"
	GOBIN=$(CURDIR)/.tools/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .tools/bin/golangci-lint $@

tidy:
	@set -e; for dir in . examples/*/; do (cd $$dir; $(GO) mod tidy); done

tidy-check:
	@set -e; for dir in . examples/*/; do (cd $$dir; $(GO) mod tidy -diff); done

generate-check:
	@sh tools/generate-check.sh

clean:
	rm -rf bin cover.out
