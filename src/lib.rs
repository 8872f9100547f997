//! MarchProxy's control plane: configuration in, Envoy snapshots out, and every
//! change seen landing.
//!
//! A module may import only from lower floors (`tests/it/layering.rs` checks):
//!
//! ```text
//! 7  main  cli  config  telemetry  shutdown     wiring; knows everything
//! 6  server/                                    sockets
//! 5  graphql/   rest/   ads                     EDGES: translate, decide nothing
//! 4  app/                                       every operation, once
//! 3  publish/                                   the only writer of the hub
//! 2  hub  nodes/  loads  auth/  limits  licence what is out, who has it, who asks
//!    secret_stores/  events/                    where certificates are from; what happened
//! 1  store/   compile/   history/   pgv/        rows; desired state -> snapshot; what is kept
//! 0  model/   error   metrics   envoy_api       types that cannot be wrong; what is counted
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
pub mod envoy_api;
pub mod error;
pub mod events;
pub mod graphql;
pub mod history;
pub mod hub;
pub mod licence;
pub mod limits;
pub mod loads;
pub mod metrics;
pub mod model;
pub mod nodes;
pub mod pgv;
pub mod publish;
pub mod rest;
pub mod secret_stores;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod telemetry;

pub use error::{Error, Result};
