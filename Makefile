# Two commands matter: `make run` and `make test`. Both set up what they need.
# `make help` lists the rest.

GO      ?= go
BIN     := bin/rescued
ARGS    ?=
PACKAGES ?= ./...
DEMAND  ?=
SEEDS   ?= 1
CREWS   ?= 14,16,20,24,30,40
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unversioned)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: toolchain
toolchain:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.26 or newer (any Go from 1.21 fetches it by itself), then run this again." >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { echo "A C compiler is missing (H3 is C): on Debian run 'apt-get install gcc libc6-dev', on macOS 'xcode-select --install', then run this again." >&2; exit 1; }

.PHONY: build
build: toolchain ## build bin/rescued
	@[ -x $(BIN) ] || echo "building $(BIN): the first time takes a few minutes, it fetches and compiles what it needs"
	@$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/rescued

.PHONY: run
run: build ## build and start the whole system with live demo traffic (ARGS="--speed 240 --no-demo …")
	@exec $(BIN) dev $(ARGS)

.PHONY: test
test: toolchain ## run everything against real Postgres and the Kafka protocol, with the race detector
	@skipped=$$(mktemp) && trap 'rm -f "$$skipped"' EXIT && \
	echo '$(GO) test -race -p 2 -timeout 20m $(PACKAGES)' && \
	RESCUED_TEST_SKIPPED=$$skipped $(GO) test -race -p 2 -timeout 20m $(PACKAGES); rc=$$?; cat "$$skipped"; exit $$rc

.PHONY: kafka
kafka: ## start a real Apache Kafka broker on loopback, without Docker
	@deploy/kafka/kafka up

.PHONY: kafka-down
kafka-down: ## stop it
	@deploy/kafka/kafka down

.PHONY: test-kafka
test-kafka: toolchain ## run the event and end-to-end tests against a real Apache Kafka
	@skipped=$$(mktemp) || exit 1; broker=$$(deploy/kafka/kafka up) || exit 1; \
	trap 'rm -f "$$skipped"; deploy/kafka/kafka down' EXIT; \
	RESCUED_TEST_SKIPPED=$$skipped RESCUED_TEST_KAFKA=$$broker $(GO) test -race -p 1 -count=1 -timeout 20m ./events/... ./cmd/rescued/; rc=$$?; cat "$$skipped"; exit $$rc

.PHONY: check
check: toolchain ## format, vet, lint and test
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt would change: $$out" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	$(MAKE) test

.PHONY: bench-promise
bench-promise: build ## compare the assignment policies on real calls: DEMAND=calls.csv.gz [SEEDS=1,2,3] [CREWS=14,20]; writes deploy/promise.md
	@[ -n "$(DEMAND)" ] || { echo "Say which calls: make bench-promise DEMAND=calls.csv.gz (columns call_time,lat,lng,kind)." >&2; exit 1; }
	@[ -r "$(DEMAND)" ] || { echo "There is no readable file $(DEMAND): name one with DEMAND=calls.csv.gz (columns call_time,lat,lng,kind)." >&2; exit 1; }
	@$(BIN) replay bench --demand "$(DEMAND)" --seeds "$(SEEDS)" --crews "$(CREWS)" --out deploy/promise.md

.PHONY: bench-warning
bench-warning: DEMAND := $(or $(DEMAND),cmd/rescued/sim/testdata/montgomery_2016-02.csv.gz)
bench-warning: build ## measure the early warning on real calls: [DEMAND=calls.csv.gz], a storm month by default; writes deploy/promise-warning.md
	@$(BIN) replay warn --demand "$(DEMAND)" --believed-min 20,40 --believed-kmh 24,36 --out deploy/promise-warning.md

.PHONY: closing
closing: toolchain ## close a real month as finance does, from its calls to its last fen; prints the statement and writes deploy/closing.md
	@out=$$($(GO) test ./cmd/rescued -run '^TestAMonthIsClosed$$' -count=1 -args -closing 2>&1) || { echo "$$out" >&2; exit 1; }
	@cat deploy/closing.md

.PHONY: bench-finance
bench-finance: LINES := $(or $(LINES),1000000)
bench-finance: toolchain ## measure verdicts, and a million compensations from accrued to paid out and exported: [LINES=10000]; writes deploy/finance.md
	@RESCUED_BENCH_LINES=$(LINES) RESCUED_BENCH_OUT=$(CURDIR)/deploy/finance.md \
		$(GO) test ./sla -run '^$$' -bench '^BenchmarkFinance$$' -benchtime 1x -timeout 90m

.PHONY: clean
clean: ## remove what was built; never touches data
	rm -rf bin
