# make demo: the main job. make test: the tests that need no root.
GO        ?= go
BIN       := bin/mptcplab
RACE      ?=
# The packages whose tests use namespaces skip them, loudly, where the machine
# has none; test-netns and test-netns-user demand them.
NETNS     := ./mptcp/link ./mptcp/host ./topology/netns ./workloads/kernel ./impairments/relay ./scenarios ./cmd/mptcplab

.PHONY: all build demo test test-race test-netns test-netns-root test-netns-user test-interop test-vm drill-kernel drill-random mutants bench fuzz lint fmt schema clean

all: build

# Static, so that the same file runs in the virtual machine.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/mptcplab

demo: build
	@echo "== virtual time"
	$(BIN) run scenarios/wifi-lte-handover.yaml
	@echo
	@echo "== network namespaces"
	@$(BIN) run scenarios/wifi-lte-handover.yaml --fabric netns || { s=$$?; \
	  if [ $$s = 3 ]; then echo "left out: this machine has no network namespaces for us (see above, and bin/mptcplab doctor)"; else exit $$s; fi; }

test:
	$(GO) test $(RACE) ./...

# -short, as in CI: minutes of virtual time in one goroutine are ten times that under
# the race detector, beyond go test's ten minutes, and there is no race to find.
test-race:
	$(MAKE) test RACE='-race -short'

# As root, and once more as an ordinary user by way of a user namespace. -short leaves
# out what is minutes of virtual time and no namespace: make test has it.
test-netns: test-netns-root test-netns-user

test-netns-root:
	@if [ "$$(id -u)" != 0 ]; then echo "SKIPPED: namespaces as root: this is no root shell"; else \
	  MPTCPLAB_NETNS=required $(GO) test -short -count=1 -p 1 $(NETNS); fi

test-netns-user:
	GO="$(GO)" NETNS="$(NETNS)" .ci/as-user

# The matrix against Linux's MPTCP, with a table, and commands from either side.
test-interop:
	@if [ "$$(id -u)" != 0 ]; then echo "SKIPPED: the matrix against Linux: this is no root shell"; else \
	  cd scenarios && MPTCPLAB_NETNS=required MPTCPLAB_INTEROP=required $(GO) test -count=1 -timeout 20m -run 'InteropMatrix|InteropLive|InteropCommands'; fi

# The encoder's round trip on real netem, and the demo, in virtual machines.
test-vm:
	MPTCPLAB_VM=required $(GO) test -count=1 -timeout 30m ./topology/vm
	MPTCPLAB_VM=required $(GO) test -count=1 -timeout 30m -v -run 'TestDemoInVM' ./cmd/mptcplab

# The project's TCP scripts on this machine's kernel: what they expect is what Linux
# does. As root, in real time.
drill-kernel:
	DRILL_KERNEL=1 $(GO) test -count=1 -run TestScriptsOnKernel -v ./mptcp/drill

# Random scripts on this machine's kernel and on the stack (as root): what differs.
SEEDS ?= 1-200
drill-random:
	DRILL_RANDOM=$(SEEDS) $(GO) test -count=1 -parallel 10 -run TestRandomScriptsOnKernel ./mptcp/drill

# Seeded faults, one at a time: at least nineteen in twenty must make a test fail.
mutants:
	$(GO) run ./mptcp/internal/mutants mptcp/internal/mutants/tcp.txt mptcp/internal/mutants/mptcp.txt

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Every fuzz target for FUZZTIME each.
FUZZTIME ?= 30s
fuzz:
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

lint:
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not gofmt'd:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fmt:
	gofmt -w .

schema: build
	$(BIN) schema > docs/scenario.schema.json

clean:
	rm -rf bin results
