//! What a desired state compiles to.
//!
//! [`given`] builds states, [`shown`] writes messages down for people. The
//! golden files stand in `../snapshots`; `cargo insta review` changes them.

mod certificates;
mod errors;
pub(super) mod given;
mod golden;
mod mappings;
mod order;
mod properties;
mod shown;
