# `just --list` reads as a manual; CI calls only these recipes.

set shell := ["bash", "-euo", "pipefail", "-c"]

module := "target/policy/federation-sidecar-injection.wasm"

# List the recipes.
default:
    @just --list --unsorted

# Install what building and testing needs (Debian 12).
setup:
    scripts/setup

# Build target/release/fedcar, and the policy module for Kubewarden next to it.
build:
    cargo build --release --locked --package fedcar
    mkdir -p {{ parent_directory(module) }}
    target/release/fedcar module --output {{ module }}

# Build the policy module only through the program that embeds it.
wasm: build
    @ls -l {{ module }}

# Fail if the policy module is larger than its budget.
wasm-size: wasm
    @size=$(stat -c %s {{ module }}); budget=$(grep -v '^#' policy/guest/size-budget); \
    echo "the module has $size bytes, the budget is $budget"; \
    test "$size" -le "$budget"

# Compile the example federation, inject real workloads for each of its clusters, show what differs and why.
demo: build
    scripts/demo

# Compare `kwctl run` with the engine over the examples; KWCTL names the program, else PATH.
e2e-kwctl:
    cargo test --locked --workspace --test kwctl -- --nocapture

# Rewrite the golden files; read the difference before committing.
bless:
    BLESS=1 cargo test --locked --workspace --test golden --test documents --test documentation --test manifests \
        --test language_reference --test compile --test preview --test diff --test report --test schemas

# Time for a decision, native against Wasm.
bench:
    cargo bench --locked --workspace --bench decision

# How long a federation takes to check and to compile, from 5 to 500 members.
bench-federation: build
    cargo bench --locked --workspace --bench federation

# The server under load: echo, native, Wasm, and policy-server where POLICY_SERVER names it; takes ten minutes.
bench-serve:
    cargo bench --locked --workspace --bench serve

# A million workloads through `fedcar preview`: how many in a second, and in how much memory; takes ten minutes.
bench-preview:
    cargo bench --locked --workspace --bench preview

# Compare what our documents make with what other injectors make; PARITY_EXTRA names a folder of further pairs.
test-parity:
    cargo test --locked --workspace --test parity -- --nocapture --test-threads=1

# Check licences, sources and bans (needs cargo-deny).
deny:
    cargo deny check

# Run every test that needs no cluster.
test:
    cargo test --workspace --locked

# Check formatting and lints.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Swap certificates, settings and processes under load, and look for traces of other requests: FEDCAR_SOAK_SECONDS each.
soak:
    FEDCAR_SOAK_SECONDS=${FEDCAR_SOAK_SECONDS:-180} \
        cargo test --locked --workspace --test serve -- swaps_under_load nothing_of_one_request --nocapture
