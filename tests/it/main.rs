//! The integration tests: one binary, against real parts.

mod support;
mod traffic;
