//! Floor 0: what people configure, as types that cannot be wrong.
//!
//! A *noun* here is something an operator creates, changes and deletes: a node
//! group, a service, a route, a listener. Each has an identity (`Service`) and
//! a *spec* (`ServiceSpec`), the part that people write. Whatever has a rule of
//! its own is a newtype that checks it once, where it is made; what several
//! fields must agree on is checked by the spec's `check`.
//!
//! No I/O, no async, no framework types.

mod api_token;
mod assignment;
mod audit;
mod certificate;
mod certificate_chain;
mod desired;
mod email;
mod event;
mod hex;
mod history;
mod http;
mod id;
mod invalid;
mod invitation;
mod labels;
mod licence;
mod listener;
mod mapping;
mod nack;
mod name;
mod net;
mod node_group;
mod node_token;
mod page;
mod password;
mod proxy;
mod quantity;
mod re2;
mod route;
mod sealed;
mod service;
mod service_auth;
mod service_scheme;
mod session;
mod snapshot;
mod text;
mod upstream_tls;
mod user;

pub use api_token::{ApiToken, ApiTokenSpec};
pub use assignment::{AssignedRole, Assignments, GroupAssignment, ServiceAssignment};
pub use audit::{AuditEntry, AuditFilter, NewAuditEntry};
pub use certificate::{
    Certificate, CertificateChange, CertificateSource, CertificateSpec, InfisicalPlace,
    RenewBefore, RenewBeforeError, Renewal, StorePath, StorePathError, VaultPlace,
};
pub use certificate_chain::{
    CertificateChain, CertificateKey, ChainError, KeyPair, KeyPairError, KeyPairPart, Leaf,
    PrivateKey,
};
pub use desired::DesiredState;
pub use email::{Email, EmailError};
pub use event::{
    ChangeKind, Event, EventCursor, EventFilter, EventKind, EventOrder, Happening, LogEnds,
    NackReport, NewEvent, NodeReport, ResetReason, ResourceChange, SnapshotNews,
};
pub use hex::hex;
pub use history::{Item, ItemKind, ItemKindError, KeptItem, Noun, Which};
pub use http::{
    HeaderName, HttpMethod, HttpPath, PathMatch, Pattern, PatternError, RedirectCode, TextMatch,
};
pub use id::{
    ApiTokenId, CertificateId, IdError, InvitationId, ListenerId, MappingId, NodeGroupId,
    NodeTokenId, ProxyId, Revision, RouteId, ServiceId, SnapshotId, UserId,
};
pub use invalid::{At, Invalid};
pub use invitation::{Invitation, InvitationSpec};
pub use labels::{Labelled, Labels};
pub use licence::{Features, Licence, NotAnAnswer, Verdict};
pub use listener::{Listener, ListenerChange, ListenerProtocol, ListenerSpec};
pub use mapping::{
    Mapping, MappingChange, MappingProtocol, MappingSpec, PortRange, PortRangeError, Services,
};
pub use nack::Nack;
pub use name::{Name, NameError};
pub use net::{Host, HostError, HostPattern, Port, PortError};
pub use node_group::{
    Logging, MaxProxies, MaxProxiesError, NodeGroup, NodeGroupChange, NodeGroupSpec, RuntimeKey,
    RuntimeValue,
};
pub use node_token::{BoundNode, BoundNodeError, NodeToken, NodeTokenSpec, TokenHash};
pub use page::{Listed, Page, Window};
pub use password::{NewPassword, NewPasswordError, PasswordHash};
pub use proxy::{
    ConfigVersion, DEGRADED_AFTER, Heartbeat, METRICS_KEPT, Metrics, OFFLINE_AFTER, Proxy,
    ProxySpec, ProxyStatus, Report,
};
pub use quantity::{Millis, QuantityError, Timeout, Weight};
pub use re2::NotRe2;
pub use route::{
    Backend, Forward, ForwardChange, HeaderMatch, Redirect, Retries, RetryOn, Route, RouteAction,
    RouteChange, RouteSpec,
};
pub use sealed::Sealed;
pub use service::{
    Endpoint, HealthCheck, HttpVersion, LoadBalancing, Protocol, Service, ServiceChange,
    ServiceSpec, Timeouts,
};
pub use service_auth::{
    AuthKind, JwtAlgorithm, JwtExpiry, JwtExpiryError, SecretAuth, ServiceAuth, UnknownWord,
};
pub use service_scheme::{Scheme, SchemeChange};
pub use session::{Session, SessionId, SessionIdError};
pub use snapshot::{Answers, KeptRefusal, NewSnapshot, SnapshotRecord, TypeRecord};
pub use text::{Line, LineError};
pub use upstream_tls::{Pem, PemError, UpstreamTls, Verification};
pub use user::{
    PersonName, Role, SecondFactor, User, UserChange, UserSpec, Username, UsernameError,
};
