//! Floor 0: what people configure, as types that cannot be wrong.
//!
//! A *noun* here is something an operator creates, changes and deletes: a node
//! group, a service, a route, a listener. Each has an identity (`Service`) and
//! a *spec* (`ServiceSpec`), the part that people write. Whatever has a rule of
//! its own is a newtype that checks it once, where it is made; what several
//! fields must agree on is checked by the spec's `check`.
//!
//! No I/O, no async, no framework types.

mod desired;
mod http;
mod id;
mod invalid;
mod listener;
mod name;
mod net;
mod node_group;
mod node_token;
mod page;
mod quantity;
mod re2;
mod route;
mod service;
mod snapshot;
mod user;

pub use desired::DesiredState;
pub use http::{
    HeaderName, HttpMethod, HttpPath, PathMatch, Pattern, PatternError, RedirectCode, TextMatch,
};
pub use id::{IdError, ListenerId, NodeGroupId, NodeTokenId, Revision, RouteId, ServiceId, UserId};
pub use invalid::{At, Invalid};
pub use listener::{Listener, ListenerChange, ListenerProtocol, ListenerSpec};
pub use name::{Name, NameError};
pub use net::{Host, HostError, HostPattern, Port, PortError};
pub use node_group::{NodeGroup, NodeGroupChange, NodeGroupSpec, RuntimeKey, RuntimeValue};
pub use node_token::{BoundNode, BoundNodeError, NodeToken, NodeTokenSpec, TokenHash};
pub use page::Page;
pub use quantity::{Millis, QuantityError, Timeout, Weight};
pub use re2::NotRe2;
pub use route::{
    Backend, Forward, ForwardChange, HeaderMatch, Redirect, Retries, RetryOn, Route, RouteAction,
    RouteChange, RouteSpec,
};
pub use service::{
    Endpoint, HealthCheck, HttpVersion, LoadBalancing, Pem, PemError, Protocol, Service,
    ServiceChange, ServiceSpec, Timeouts, UpstreamTls, Verification,
};
pub use snapshot::{NewSnapshot, SnapshotRecord, TypeRecord};
pub use user::{PasswordHash, Role, User, Username, UsernameError};
