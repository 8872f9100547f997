//! MarchProxy's control plane: configuration in, Envoy snapshots out, and every
//! change seen landing.
//!
//! A module may import only from lower floors (`tests/it/layering.rs` checks):
//!
//! ```text
//! 7  main  cli  config  telemetry  shutdown     wiring; knows everything
//! 6  server/                                    sockets
//! 5  graphql/   ads                             EDGES: translate, decide nothing
//! 4  app/                                       every operation, once
//! 3  publish/                                   the only writer of the hub
//! 2  hub   nodes/   loads   auth/               what is out, who has it, who asks
//! 1  store/   compile/                          rows; desired state -> snapshot
//! 0  model/   error                             types that cannot be wrong
//! ```
//!
//! A change goes down and comes up again:
//!
//! ```text
//! graphql ─▶ app: authorise, transaction, revision + 1, compile, commit, nudge
//!                                                                          │
//!            publish: newer in the database than in the hub? ◀─────────────┘
//!                │ load, compile
//!                ▼
//!            hub: swap, broadcast ──┬─▶ ads ─▶ Envoy ─▶ ACK / NACK ─▶ nodes
//!                                   └─▶ subscriptions ◀───────────────┘
//! ```

mod ads;
pub mod app;
pub mod auth;
pub mod cli;
pub mod compile;
pub mod config;
pub mod error;
pub mod graphql;
pub mod hub;
pub mod loads;
pub mod model;
pub mod nodes;
pub mod publish;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod telemetry;

pub use error::{Error, Result};
