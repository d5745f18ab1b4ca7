# Two commands do everything: `make run` and `make test`. Both install what is missing, say what they do, and may be repeated.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export GOFLAGS ?= -buildvcs=false

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE := $(CURDIR)/.cache
TOOLS := $(CURDIR)/.tools
KUBERNETES := v1.36.3

# A binary is named by a hash of all it is made of: when nothing changed there is nothing to build, and nothing to ask the compiler.
hash = $(shell { go version; git hash-object $$(git ls-files -co --exclude-standard -- $(1) | sort | while read -r f; do [ -f "$$f" ] && echo "$$f"; done); } | sha256sum | cut -c1-16)
CLUSTER := $(CACHE)/cluster-$(call hash,e2e/cluster)
LINT := $(TOOLS)/golangci-lint-$(call hash,tools/lint)
UNIT = $$(go list ./... | grep -v '^trackside/e2e')

say = @printf '\033[1m→ %s\033[0m\n'

.PHONY: help
help: ## Say what there is.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Serve the cluster of KUBECONFIG, or a local one with a fleet and incidents.
	@if [ -z "$${KUBECONFIG:-}" ]; then $(MAKE) --no-print-directory cluster-binary; fi
	@CLUSTER="$(CLUSTER)" CACHE="$(CACHE)" bash tools/run.sh

.PHONY: build
build: static/datastar.js ## Build bin/trackside: one static binary.
	$(say) "building trackside $(VERSION) (the first build compiles client-go and SQLite: 2 to 4 minutes)"
	@CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/trackside ./cmd/trackside

.PHONY: generate
generate: static/datastar.js ## Write everything that is generated: templ, sqlc, the RBAC in deploy, the OpenAPI document, docs/TRUTH.md, the browser bundle.
	$(say) "generating"
	@go tool templ fmt views >/dev/null && go tool templ generate -path views 2>&1 | grep -v '^(✓)' || true
	@CGO_ENABLED=0 go tool -modfile=tools/sqlc/go.mod sqlc generate -f store/sqlite/sqlc.yaml
	@go run ./tools/rbac
	@go run ./tools/openapi
	@go run ./tools/truth -write

static/datastar.js: static/fetch.go
	$(say) "taking the Datastar bundle out of its Go module"
	@go generate ./static

.PHONY: test
test: generate-check lint unit e2e ## Everything: generated files, lint, unit tests with -race, the browser against a real control plane.
	@[ -n "$${CI:-}" ] || { echo; echo "Everything passed. Next: make run shows the board; make bench measures it."; }

.PHONY: generate-check
generate-check: static/datastar.js
	$(say) "checking that what is generated is up to date (the first time compiles sqlc: 2 to 4 minutes)"
	@before=$$(git status --porcelain; git diff | sha256sum); $(MAKE) --no-print-directory generate; \
	after=$$(git status --porcelain; git diff | sha256sum); \
	[ "$$before" = "$$after" ] || { git status --short; echo "Generated files were out of date; they have been written anew: commit them."; exit 1; }

.PHONY: lint
lint: $(LINT) static/datastar.js ## Lint, import graph included.
	$(say) "linting"
	@$(LINT) run ./...

$(LINT):
	$(say) "building golangci-lint from tools/lint (once, about 2 minutes)"
	@mkdir -p $(TOOLS) && rm -f $(TOOLS)/golangci-lint-* && cd tools/lint && CGO_ENABLED=0 go build -trimpath -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: unit
unit: gcc static/datastar.js ## Unit tests with the race detector.
	$(say) "unit tests with -race (the first time compiles SQLite with -race: 3 to 5 minutes)"
	@CGO_ENABLED=1 go test -race $(UNIT)

.PHONY: e2e
e2e: gcc build cluster-binary browser ## The browser against a real control plane.
	$(say) "end-to-end tests in Chromium against a real control plane"
	@CLUSTER="$(CLUSTER)" TRACKSIDE="$(CURDIR)/bin/trackside" PLAYWRIGHT_DRIVER_PATH="$(TOOLS)/playwright-driver" \
		CGO_ENABLED=1 go test -race -count=1 -p 1 -timeout 60m ./e2e/...

.PHONY: truth
truth: ## Compare the verdict on every recorded pod status with its hand key; print the table, write docs/TRUTH.md.
	$(say) "asking the classifier about every recorded status"
	@go run ./tools/truth

.PHONY: bench
bench: build cluster-binary browser ## Measure: latency, fan-out, bytes, memory, CPU per change. Prints a table; 20 to 30 minutes.
	$(say) "benchmarks of the packages"
	@mkdir -p $(CACHE) && go test -run '^$$' -bench . -benchtime 1x ./handlers/... ./poller/... ./store | tee $(CACHE)/bench.txt
	$(say) "benchmarks against a real control plane, up to 25,000 pods"
	@CLUSTER="$(CLUSTER)" TRACKSIDE="$(CURDIR)/bin/trackside" PLAYWRIGHT_DRIVER_PATH="$(TOOLS)/playwright-driver" \
		go test -count=1 -timeout 90m -run '^$$' -bench . -benchtime 1x ./e2e/bench/ | tee -a $(CACHE)/bench.txt
	@echo && go run ./tools/benchtable <$(CACHE)/bench.txt
	@echo "Next: compare with the table in README.md; the machine's noise is part of every time, so repeat before you believe one."

.PHONY: bench-year
bench-year: ## Fill a data file with a year of 1,000 runners; measure its size and each page's queries. About 10 minutes.
	$(say) "a year of 1,000 runners in one data file"
	@go test -run '^$$' -bench Year -benchtime 1x -timeout 60m -v ./store/sqlite
	@echo "Next: compare with the table in README.md; no query may take 50 ms, nor the file a gigabyte."

.PHONY: cluster-binary
cluster-binary: $(CLUSTER)

$(CLUSTER):
	$(say) "building the local control plane (Kubernetes $(KUBERNETES): etcd, API server, controllers, scheduler, KWOK)"
	@bash tools/cluster-build.sh $@ $(KUBERNETES)

.PHONY: cluster
cluster: cluster-binary ## Start the local control plane with its fleet, in the background.
	@$(CLUSTER) up --dir $(CACHE)/fleet --fleet --detach
	@echo "Next: export KUBECONFIG=$(CACHE)/fleet/kubeconfig. Stop it with: make cluster-down"

.PHONY: cluster-down
cluster-down: ## Stop the local control plane.
	@$(CLUSTER) down --dir $(CACHE)/fleet

.PHONY: browser
browser:
	@bash tools/browser.sh $(TOOLS)

.PHONY: gcc
gcc:
	@command -v gcc >/dev/null || { echo "→ installing gcc for the race detector"; bash tools/apt.sh gcc libc6-dev; }

.PHONY: image
image: ## Build the container image (needs docker or podman).
	@engine=$$(command -v docker || command -v podman) || { echo "make image needs docker or podman on the PATH."; exit 1; }; \
	"$$engine" build --build-arg VERSION=$(VERSION) -t trackside:$(VERSION) .

.PHONY: clean
clean: ## Remove what was built.
	@rm -rf bin $(CACHE) $(TOOLS) static/datastar.js
