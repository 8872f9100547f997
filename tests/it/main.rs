//! The integration tests: one binary, against real parts.

mod bad_input;
mod contracts;
mod start;
mod subscriptions;
mod support;
mod traffic;
mod wait_for;
