//! An xDS server engine for Envoy: sans-IO sessions and one thin loop of I/O.
//!
//! ```text
//!  Source ── Snapshot ──▶ drive ── Response ──▶ services ──▶ Envoy
//!     ▲                   │   ▲                     │
//!     └──── Event ────────┘   └────── Request ──────┘
//!                     Session
//! ```
//!
//! # The protocol in one page
//!
//! A client opens a stream and asks for resources, type by type. The server
//! answers, and from then on sends whatever changes. Each response has a *nonce*;
//! the client's answer repeats it and is an ACK, or with an `error_detail` a NACK.
//! Both are requests as well, and may change what is asked for.
//!
//! - *State of the world*: a request names everything that is wanted, a response
//!   of listeners or clusters lists everything there is. Of other types it brings
//!   what is new, and nothing can be said to be gone.
//! - *Delta*: requests subscribe and unsubscribe, responses bring what has changed
//!   and name what is gone, and a client that reconnects says what it holds.
//! - A request for listeners or clusters that names nothing means everything.
//! - Clusters go before the listeners that use them, and endpoints right after
//!   their cluster, changed or not: Envoy waits for them.
//! - A refused response is not sent again as it was.
//!
//! # What is where
//!
//! - [`Resource`] and [`Snapshot`]: what should be held. Immutable, encoded once.
//! - [`Session`]: one stream as a state machine, over one *lane* per type.
//! - [`Source`], [`Observer`], [`Event`]: the border to the application.
//! - [`DiscoveryServer`]: the gRPC services; [`AdsServer`] is the aggregated one alone.
//! - [`loads`]: reports of load (LRS), to a [`LoadSink`](loads::LoadSink) of yours.
//! - [`Clients`], [`StatusServer`]: how each client stands, resource by resource (CSDS).
//! - `testing`: a fake Envoy and more, with the feature of that name.
//!
//! This crate knows nothing of what the resources mean, and nothing of a product.

mod batch;
mod call;
mod denial;
mod drive;
mod entry;
mod hash;
mod interest;
mod lane;
pub mod loads;
mod names;
mod refusals;
mod report;
mod resource;
mod resource_type;
mod serve;
mod services;
mod session;
mod settings;
mod shelf;
mod snapshot;
mod source;
mod status;
mod streams;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod turn;

pub use batch::Response;
pub use call::CallInfo;
pub use denial::Denial;
pub use loads::LoadServer;
pub use report::{
    ClientReport, Clients, Membership, Reporting, ResourceRefusal, ResourceReport, ResourceState,
    UNTOLD,
};
pub use resource::Resource;
pub use resource_type::{OtherType, ResourceType};
pub use serve::Server;
pub use services::{AdsServer, DiscoveryServer, DiscoveryService};
pub use session::{Output, Request, Session, Violation};
pub use settings::Settings;
pub use snapshot::{Snapshot, SnapshotError};
pub use source::{Connection, Event, Hello, NodeInfo, Observer, Protocol, Source};
pub use status::{Authorize, StatusServer, Visibility};

/// Compiles the example in the read-me.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
