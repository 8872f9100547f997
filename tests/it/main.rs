//! The integration tests: one binary, against real parts.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test stops at the first trouble, and json!() makes values"
)]

mod access;
mod bad_input;
mod bootstraps;
mod contracts;
mod durability;
mod layering;
mod loads;
mod proxyless;
mod reflection;
mod separate;
mod start;
mod subscriptions;
mod support;
mod traffic;
mod upstreams;
mod wait_for;
mod warming;
