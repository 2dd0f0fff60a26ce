# The commands of this repository. `make` alone lists them.
SHELL := /bin/sh
GO ?= go
TOOLS := $(CURDIR)/.tools
GOLANGCI_VERSION := v2.12.2
GORELEASER_VERSION := v2.15.4
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
GORELEASER := $(TOOLS)/goreleaser-$(GORELEASER_VERSION)/goreleaser

# PROGRAM=PACKAGES of Debian; .ci/need installs what is missing.
FPGA_TOOLS := yosys=yosys nextpnr-ice40=nextpnr-ice40 icetime=fpga-icestorm,fpga-icestorm-chipdb iverilog=iverilog
SSH_TOOLS := sshd=openssh-server ssh=openssh-client rsync=rsync git=git
AUTH_TOOLS := softhsm2-util=softhsm2 pkcs11-tool=opensc google-authenticator=libpam-google-authenticator krb5kdc=krb5-kdc kadmin.local=krb5-admin-server kinit=krb5-user
TEST_TOOLS := $(SSH_TOOLS) $(AUTH_TOOLS) ip=iproute2 tmux=tmux make=make gcc=gcc,libc6-dev bash=bash $(FPGA_TOOLS)

.PHONY: help build demo test chaos cuts large bench lint fmt fuzz cross release-check snapshot suite pictures clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## both binaries, static, into bin/
	CGO_ENABLED=0 $(GO) build -tags nethttpomithttp2 -trimpath -o bin/ ./cli/cyclops ./executor/cyclopsd

demo: ## build the example computer on the embedded host, tools installed where needed
	@.ci/need git=git $(FPGA_TOOLS)
	@GO="$(GO)" examples/demo.sh

test: ## everything, race detector on, what it needs installed where needed
	@.ci/need $(TEST_TOOLS)
	CYCLOPS_POWER_LOSSES=20 CYCLOPS_FAILED_SYNCS=3 $(GO) test -race -timeout 40m ./...

chaos: ## break every named step in every way, kill at random, cut the power; CONTRIBUTING.md has its variables
	@.ci/need $(SSH_TOOLS)
	@mkdir -p $(TOOLS)
	CGO_ENABLED=0 $(GO) test -tags failpoints -c -o $(TOOLS)/chaos.test ./executor/chaos
	cd executor/chaos && $(TOOLS)/chaos.test -test.timeout 40m -test.run '^Test'
	CGO_ENABLED=0 $(GO) test -count=1 -timeout 30m -v -run '^(TestNothingIsLostWithThePower|TestAFailedSyncIsNotBelieved)$$' ./executor/daemon

cuts: ## 10,000 resets and 20 silent cuts during one log of 1 GB, and more; takes half an hour
	@.ci/need $(SSH_TOOLS)
	CYCLOPS_LONG=1 $(GO) test -count=1 -timeout 90m -v -run 'ThroughCuts' ./remote
	CYCLOPS_LONG=1 CYCLOPS_CORPUS=all $(GO) test -count=1 -timeout 30m -v -run 'ThroughCuts|SurvivesItsNetwork' ./cli/cyclops

large: ## one line of 1 GB, 100,000 outputs, and a log of 10 GB with the memory that it takes; wants 15 GB of disk
	CYCLOPS_TEST_LARGE=1 $(GO) test -count=1 -timeout 60m -v -run '^(TestOneVeryLongLine|TestVeryManyOutputs)$$' ./executor/daemon
	CYCLOPS_BENCH_LOG=10000000000 $(GO) test -count=1 -timeout 60m -run '^$$' -bench '^BenchmarkCapture$$' -benchtime 1x ./executor/daemon

bench: ## side by side with ssh, rsync and scp; writes the table in docs/benchmarks.md
	@.ci/need $(SSH_TOOLS) scp=openssh-client tar=tar tsp=task-spooler
	CGO_ENABLED=0 $(GO) build -tags nethttpomithttp2 -trimpath -ldflags '-s -w' -o bin/ ./cli/cyclops ./executor/cyclopsd
	$(GO) test -tags bench -count=1 -timeout 90m -v -run '^TestMeasure$$' ./docs/bench -args \
	  -cyclops $(CURDIR)/bin/cyclops -cyclopsd $(CURDIR)/bin/cyclopsd -write $(CURDIR)/docs/benchmarks.md $(BENCH)

lint: $(GOLANGCI) ## format, vet and the rules of .golangci.yml
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted by gofmt:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	GOLANGCI_LINT_CACHE=$(TOOLS)/lint $(GOLANGCI) run --timeout 10m ./...

fmt: ## format everything
	gofmt -w $$(git ls-files '*.go')

fuzz: ## each fuzz target for FUZZTIME (3s)
	.ci/fuzz

cross: ## every platform that is released, static
	.ci/cross

release-check: $(GORELEASER) ## goreleaser's own check of goreleaser.yaml
	.ci/release-check $(GORELEASER)

snapshot: $(GORELEASER) ## archives and packages of every platform into dist/, nothing published
	$(GORELEASER) release --snapshot --clean --skip=publish

suite: build ## GNU make's own test suite, here and through cyclops run: the same, line by line
	@.ci/need $(SSH_TOOLS) make=make gcc=gcc,libc6-dev perl=perl autoconf=autoconf automake=automake autopoint=autopoint pkg-config=pkg-config dpkg-source=dpkg-dev
	examples/suite.sh

pictures: build ## the pictures of the README, from the running program
	@.ci/need tmux=tmux git=git ip=iproute2 $(SSH_TOOLS) $(FPGA_TOOLS)
	docs/pictures/make.sh
	docs/pictures/network.sh
	docs/pictures/screen.sh

clean: ## what was built; tools stay
	rm -rf bin dist examples/*/build

$(GOLANGCI):
	CGO_ENABLED=0 GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(GORELEASER):
	CGO_ENABLED=0 GOBIN=$(@D) $(GO) install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
