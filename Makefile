# The two commands: `make run` and `make test`. The others are for developers.

# dev builds fastest; `make run PROFILE=release` runs fastest.
PROFILE ?= dev
BUILT := $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
SERVER := target/$(BUILT)/marchproxy

.PHONY: run test demo bench fuzz schema descriptors build pages lint unit browser readme

run: build
	exec $(SERVER) serve

build: pages
	cargo build --profile $(PROFILE) --features dashboard

# The web pages, which the feature `dashboard` embeds.
pages:
	scripts/dashboard

test: lint unit browser readme demo

lint: pages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features dashboard -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Without the web pages too: a plain `cargo build` must need no Node.js.
unit: build
	scripts/envoy
	scripts/grpcio
	scripts/grpc-js
	cargo test --workspace --features dashboard
	cargo check --workspace

browser: build
	scripts/browser-test

readme: build
	scripts/envoy
	scripts/readme-test

demo: build
	scripts/demo

# How long from a mutation to the ACK of a real Envoy, and what the engine costs.
bench:
	scripts/envoy
	cargo bench --bench mutation_to_ack
	cargo bench -p marchproxy-xds

# A minute for each target; `scripts/fuzz 600` for longer.
fuzz:
	scripts/fuzz

schema: build
	$(SERVER) schema > schema/api.graphql

# After each change of the version of envoy-types.
descriptors:
	scripts/descriptor-set
