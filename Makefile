# The two commands: `make run` and `make test`. The others are for developers.

# dev builds fastest; `make run PROFILE=release` runs fastest.
PROFILE ?= dev
BUILT := $(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
SERVER := target/$(BUILT)/marchproxy

.PHONY: run test api contract dialect demo bench fuzz schema descriptors build pages lint unit browser readme

run: build
	exec $(SERVER) serve

build: pages
	cargo build --profile $(PROFILE) --features dashboard

# The web pages, which the feature `dashboard` embeds.
pages:
	scripts/dashboard

test: lint contract unit browser readme demo dialect api

lint: pages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features dashboard -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Whether clients of the last release can go on as they are.
contract:
	scripts/contract-test

# The integration tests run on either database. Without the web pages too: a plain
# `cargo build` must need no Node.js.
unit: build
	scripts/envoy
	scripts/grpcio
	scripts/grpc-js
	scripts/graphql-js
	scripts/postgres
	scripts/redis
	cargo test --workspace --features dashboard
	TEST_DATABASE=postgres cargo test --features dashboard --test it
	cargo check --workspace

browser: build
	scripts/browser-test

readme: build
	scripts/envoy
	scripts/readme-test

demo: build
	scripts/demo

# A client of the first MarchProxy, written in shell.
dialect: build
	scripts/dialect-a

# Three minutes of requests that the contracts allow, and do not; `scripts/api-test 1800` for longer.
api: build
	scripts/api-test

# How long from a mutation to the ACK of a real Envoy, and what the engine costs.
bench:
	scripts/envoy
	cargo bench --bench mutation_to_ack
	cargo bench --bench pages
	cargo bench --bench subscribers
	cargo bench -p marchproxy-xds

# A minute for each target; `scripts/fuzz 600` for longer.
fuzz:
	scripts/fuzz

schema: build
	$(SERVER) schema > schema/api.graphql
	$(SERVER) schema --rest > schema/rest.openapi.json

# After each change of the version of envoy-types.
descriptors:
	scripts/descriptor-set
