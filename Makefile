# SPDX-License-Identifier: GPL-2.0
# What a person calls. The kernel's build system reads Kbuild, not this.

# A kernel build tree of one's own; none: the one of the cache, built when needed.
KDIR ?=
# 1: the debug kernel and its module
DEBUG ?=
# More words for the demo, such as --fast
DEMO ?=
# quick: a part of the benchmark
BENCH ?=
# The row of the benchmark to look into, as bench.json calls it
ROW ?= lo/request-response
# More words for tools/fuzz
FUZZ ?=
# Where `make install` puts things
PREFIX ?= /usr/local
DESTDIR ?=
# More words for test-packetdrill, such as --only zerocopy
SCRIPTS ?=
# More words for test-programs, such as --only redis
PROGRAMS ?=
# More words for test-kernel-selftests, such as --only reuseport
SELFTESTS ?=

vm := tools/vm
module-args := $(if $(KDIR),--kdir '$(KDIR)',$(if $(DEBUG),--debug))
test-args := $(if $(DEBUG),--debug)
cargo-build := cargo build --release --locked --quiet
export LLVM

all: module tools selftests ## (default) the module, the tools, the test programs

setup: ## what building needs and this machine lacks
	@$(vm)/setup

kernel: ## the kernel for the VM, into the cache (DEBUG=1: the slow one that finds errors)
	@$(vm)/kernel $(test-args)

module: ## oxtcp.ko (KDIR=DIR: for that kernel; DEBUG=1: build/debug/oxtcp.ko)
	@$(vm)/module $(module-args)

tools: setup ## the oxtcp command, the preload library, the client library
	@$(cargo-build) --manifest-path tools/Cargo.toml

selftests: setup ## the programs that run in the VM
	@$(MAKE) --no-print-directory -C selftests

demo: module tools ## watch a connection, from socket() to CLOSED
	@color=; if [ -t 1 ]; then color=--color; fi; \
	$(vm)/run -- tools/demo/run $$color $(DEMO)

# The parts of `make test`, each for itself too. With DEBUG=1, those in the VM
# on the debug kernel.
test: all $(if $(DEBUG),,bench-tools) ## every test (DEBUG=1: those in the VM, on the debug kernel)
	@$(vm)/test $(test-args) $(if $(DEBUG),,host) kunit vm $(if $(DEBUG),,bench)
test-host: setup ## tests on this machine
	@$(vm)/test host
test-kunit: module ## the module's tests of itself
	@$(vm)/test $(test-args) kunit
test-vm: all ## the socket tests in the VM
	@$(vm)/test $(test-args) vm
test-bench: module bench-tools ## that nothing costs more instructions than it did
	@$(vm)/test bench

# Brought by whoever has it: the project neither ships nor builds packetdrill.
test-packetdrill: ## the kernel tree's packetdrill scripts, on AF_INET and on oxtcp
	@command -v "$${PACKETDRILL:-packetdrill}" >/dev/null || { \
		echo 'test-packetdrill: packetdrill is not on PATH; PACKETDRILL=FILE names it' >&2; \
		exit 2; }
	@$(MAKE) --no-print-directory kernel module tools
	@selftests/packetdrill/run $(SCRIPTS)

# Each fetches, into the cache, what it needs and the machine lacks.
test-programs: module tools ## Debian's programs as they are, nginx to Java (PROGRAMS='--only redis')
	@$(vm)/test $(test-args) programs $(PROGRAMS)
test-kernel-selftests: module tools ## the kernel tree's socket tests, on AF_INET and on oxtcp
	@selftests/kernel/run $(SELFTESTS)

bench: module bench-tools ## oxtcp beside AF_INET: a table, bench.json, bench.svg (BENCH=quick)
	@$(MAKE) --no-print-directory -C tools/bench smoltcp
	@tools/bench/run table $(BENCH)
bench-netem: module bench-tools ## goodput and latency of both over roads that lose packets
	@tools/bench/run netem
bench-profile: module bench-tools ## where the instructions go (ROW=veth/stream-64k)
	@tools/bench/run profile $(ROW)
bench-tools: setup
	@$(MAKE) --no-print-directory -C tools/bench
# More of the core's proof than `make test` has time for.
coverage: ## lines of the core that the host's tests run; fails below 95 %
	@tools/coverage
fuzz: ## fuzz the core, ten minutes for each target (FUZZ='--time 60 pair')
	@tools/fuzz $(FUZZ)
requirements: ## docs/requirements.md, and whether what it names is there
	@tools/requirements
miri: ## the core's own tests under Miri (slow)
	@tools/miri

check: ## format and lints
	@$(vm)/check

# The module is built for each kernel from the source that this puts in place:
# dkms(8) does it, or `make module KDIR=...` and `make install-module`.
# What root installs, root need not build.
install: $(if $(wildcard tools/target/release/oxtcp),,tools) ## tools, man pages, completions, header, source for DKMS (PREFIX, DESTDIR)
	@tools/install '$(DESTDIR)' '$(PREFIX)'
uninstall: ## what `make install` has put there
	@tools/install --remove '$(DESTDIR)' '$(PREFIX)'
install-module: ## oxtcp.ko as it was built last, where modprobe finds it (DESTDIR)
	@tools/install --module '$(DESTDIR)' '$(PREFIX)'

rust-project.json compile_commands.json: FORCE ## for editors (rust-analyzer, clangd)
	@$(vm)/module $(if $(KDIR),--kdir '$(KDIR)') $(if $(filter rust%,$@),rust-analyzer,$@)
	@cp build/$(if $(KDIR),own,plain)/$@ $@

clean: ## all that was built here; the cache stays
	rm -rf build oxtcp.ko rust-project.json compile_commands.json
	rm -rf rust/target tools/target
	rm -f bench.json bench-netem.json bench.svg
	@$(MAKE) --no-print-directory -C selftests clean
	@$(MAKE) --no-print-directory -C tools/bench clean

help: ## this
	@sed -nE 's/^([a-z][a-z_. -]*):.* ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 30
	@echo
	@echo '  The cache is $$OXTCP_CACHE, by default ~/.cache/oxtcp.'

FORCE:
.PHONY: all setup kernel module tools selftests demo test test-host test-kunit test-vm \
	test-bench test-packetdrill test-programs test-kernel-selftests bench bench-netem \
	bench-profile bench-tools coverage fuzz requirements miri check install uninstall \
	install-module clean help FORCE
