# `make help` lists the targets. `run`, `test`, `build` and `lint` need only Go.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

VERSION      ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE        ?= sluice:dev
# All targets except race compile with the same settings, so that each package is compiled once. The tag nomsgpack leaves
# out gin's MessagePack codec, which nothing uses. It takes longer to compile than gin itself. Without cgo, the SQL parser
# of SpiceDB's foreign-data wrapper is left out, which has 165,000 lines of C.
export GOFLAGS := $(strip $(GOFLAGS) -tags=nomsgpack -trimpath)
export CGO_ENABLED := 0
# Packages start in this order: those that take longest come first.
TEST         ?= ./tests ./tests/operations ./internal/spicedb ./internal/sqlitestore ./internal/replica ./...
TEST_FLAGS   ?=
TEST_TIMEOUT ?= 30m
# The race detector runs on the tests of the packages in RACE, which have concurrent code of their own. It leaves out the
# tests whose names match RACE_SKIP, which ask one question at a time. Of the packages in RACE_OTHERS it runs only the
# tests whose names match RACE_TESTS.
RACE         ?= ./internal/tx ./internal/job ./internal/replica ./internal/audit ./internal/httpapi ./internal/app ./client/...
RACE_SKIP    ?= Forgery|Past|Pages|FindReads|PeopleRead|ReadingAPlace|AuthZEN|ImportRules|Rename
RACE_OTHERS  ?= ./tests ./tests/operations ./internal/spicedb ./internal/sqlitestore
RACE_TESTS   ?= Race|Overlap|Interrupted|MemoryConformance|Stops|Readers|Writers|Backup|Pool|Collect
FUZZTIME     ?= 10s
BENCH        ?= .
BENCHTIME    ?= 1s

# Versions of tools that are not dependencies of the server. Their first use compiles them into bin/.
GOLANGCI_LINT_VERSION := v2.15.0
GOTESTSUM_VERSION     := v1.13.0
GOVULNCHECK_VERSION   := v1.1.4

GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)/golangci-lint
GOTESTSUM     := bin/gotestsum-$(GOTESTSUM_VERSION)/gotestsum
GOVULNCHECK   := bin/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck

##@ Run and test

.PHONY: run
run: build ## Start a server with an embedded SpiceDB and the demo company in it
	exec bin/sluice serve --demo # go run would report Ctrl-C as a failure

.PHONY: test
test: $(GOTESTSUM) ## Run all tests (TEST=./tests/... selects packages; SLUICE_REQUIRE_CONTAINERS=1 requires containers)
	GOTESTSUM=$(GOTESTSUM) scripts/test -timeout $(TEST_TIMEOUT) $(TEST_FLAGS) $(TEST)

# -count=1 prevents the use of cached results of `make test`: Go does not notice that a test read another SLUICE_TEST_LONG.
.PHONY: test-long
test-long: $(GOTESTSUM) ## Run all tests in full size: with every store, more repetitions, and no case left out
	SLUICE_TEST_LONG=1 GOTESTSUM=$(GOTESTSUM) scripts/test -count=1 -timeout 120m $(TEST_FLAGS) $(TEST)

# After these two targets, make test and make race only link the tests.
.PHONY: compile-test
compile-test: ## Compile the packages of `make test`, so that it runs from a warm build cache
	scripts/test --compile $(TEST)

.PHONY: compile-race
compile-race: export CGO_ENABLED := 1
compile-race: ## Compile the packages of `make race`
	scripts/test --compile --race $(RACE) $(RACE_OTHERS)

.PHONY: race
race: export CGO_ENABLED := 1
race: $(GOTESTSUM) ## Run the tests of concurrent code under the race detector (needs a C compiler)
	export SLUICE_TEST_LONG=1 # a race shows in one of many rounds
	GOTESTSUM=$(GOTESTSUM) scripts/test --race -timeout $(TEST_TIMEOUT) -skip '$(RACE_SKIP)' $(TEST_FLAGS) $(RACE)
	GOTESTSUM=$(GOTESTSUM) scripts/test --race -timeout $(TEST_TIMEOUT) -run '$(RACE_TESTS)' $(TEST_FLAGS) $(RACE_OTHERS)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz

.PHONY: bench
bench: ## Run the benchmarks (BENCH=regexp, BENCHTIME=1s)
	@dirs="$$(grep -rlE '^func Benchmark' --include='*_test.go' . | xargs -r dirname | sort -u)"
	[[ -n $$dirs ]] || { echo "there are no benchmarks"; exit 0; }
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -timeout 60m $$dirs

##@ Check

.PHONY: check
check: $(GOLANGCI_LINT) ## Check in less than a minute: format, lint of changed packages, tests without a server or database
	GOLANGCI_LINT=$(GOLANGCI_LINT) scripts/check

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Lint, and check that go.mod is tidy and generated files are current
	go mod tidy -diff
	scripts/generated
	$(GOLANGCI_LINT) run

.PHONY: tools
tools: $(GOLANGCI_LINT) $(GOTESTSUM) ## Compile the tools for lint and test

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	$(GOLANGCI_LINT) fmt

.PHONY: generate
generate: ## Generate all generated files
	go generate ./...

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Check the called code for known vulnerabilities (queries Go's database)
	$(GOVULNCHECK) ./...

.PHONY: compose-check
compose-check: ## Check that Docker Compose accepts docker-compose.yml
	@scripts/compose --env-file .env.example config --quiet
	echo "docker-compose.yml is accepted"

##@ Build

.PHONY: build
build: ## Compile the static binary bin/sluice
	scripts/build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sluice ./cmd/sluice

# The files of the image: in the image, root/ belongs to root, and writable/ to the user of the server.
.PHONY: layout
layout: export GOOS := linux
layout: build
	@rm -rf bin/image
	mkdir -p bin/image/root/etc/ssl/certs bin/image/writable/data
	mkdir -m 1777 bin/image/writable/tmp
	cp bin/sluice bin/image/root/sluice
	for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
	  [[ ! -r $$bundle ]] || { cp "$$bundle" bin/image/root/etc/ssl/certs/ca-certificates.crt; break; }
	done
	[[ -e bin/image/root/etc/ssl/certs/ca-certificates.crt ]] || echo "note: found no CA certificates; the image has none" >&2

.PHONY: image
image: layout ## Build the container image (IMAGE=sluice:dev) with a binary compiled here; needs no base image
	@{ printf 'FROM scratch AS build\nCOPY . /src/bin/image/\n'; sed -n '/^FROM scratch AS image/,$$p' Dockerfile; } |
	  docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) -f - bin/image

.PHONY: spicedb-image
spicedb-image: ## Build the image authzed/spicedb from source, in the version of go.mod, if it cannot be pulled
	scripts/spicedb-image

.PHONY: clean
clean: ## Remove bin/
	rm -rf bin

##@ Help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(GOLANGCI_LINT):
	GOBIN=$(abspath $(@D)) go install -ldflags='-s -w' github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(GOTESTSUM):
	GOBIN=$(abspath $(@D)) go install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)

$(GOVULNCHECK):
	GOBIN=$(abspath $(@D)) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
