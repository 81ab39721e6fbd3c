# `make demo` shows it, `make test` proves it. Both install what is missing (Debian 12, Rust toolchain).

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VENV := .venv
# javac is for the functions of the tests alone; the platform builds its images without.
PACKAGES := ca-certificates curl erofs-utils gcc iproute2 libc6-dev nftables openjdk-17-jdk-headless openssl python3 python3-venv
# For functions in Go, and for AWS's Node.js client, which npm builds from source.
TEST_PACKAGES := autoconf automake awscli cmake g++ golang-go libtool make
BENCH_PACKAGES := nginx-light runc
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2
export AWS_PAGER :=

.DELETE_ON_ERROR:
.PHONY: help demo up test check bench deps build clean

help: ## What there is to make.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

demo: deps build ## Start the platform, deploy a function, invoke it cold and warm, show the waterfall, stop.
	@$(SUDO) examples/demo.sh

up: deps build ## The same, but stay up and say what to try next.
	@$(SUDO) examples/demo.sh --stay

test: deps test-deps tools build ## Unit, integration and end-to-end tests (as root: sandboxes are real).
	cargo nextest run --locked --workspace
	$(SUDO) $(VENV)/bin/pytest tests

check: tools ## Format, lints, and what our dependencies bring with them.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo deny check --hide-inclusion-graph bans licenses sources
	@# The database of advisories is a git repository on the network; without it the rest still counts.
	@if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	else echo 'advisories: NOT CHECKED, the RustSec database cannot be fetched from here'; fi

bench: deps ## Our starts beside runc, a bare process and nginx, in one run.
	@$(call apt,$(BENCH_PACKAGES))
	cargo build --locked --release -p pilot -p pilotlight-bench
	$(SUDO) target/release/pilotlight-bench

deps: $(VENV)/.ready ## System and Python packages that are missing.
	@$(call apt,$(PACKAGES))

.PHONY: test-deps
test-deps:
	@$(call apt,$(TEST_PACKAGES))
	@# Node.js from elsewhere brings npm along, and is at odds with Debian's.
	@command -v npm >/dev/null || { $(call apt,npm); }

build:
	cargo build --locked --workspace

clean: ## Everything that was built, and the demo's data.
	cargo clean
	rm -rf $(VENV) .demo

$(VENV)/.ready: tests/requirements.txt
	@$(call apt,$(PACKAGES))
	# The system's own Python: one that a version manager built may lack modules.
	/usr/bin/python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --requirement tests/requirements.txt
	@touch $@

.PHONY: tools
tools:
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest --version $(NEXTEST_VERSION)
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny --version $(DENY_VERSION)

# Installs the packages that are not there yet; says nothing when all are.
define apt
missing=; for package in $(1); do \
	dpkg-query --show --showformat='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
		|| missing="$$missing $$package"; \
done; \
if [ -n "$$missing" ]; then \
	$(SUDO) apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; \
fi
endef
