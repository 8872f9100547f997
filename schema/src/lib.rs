//! Every shape that outlives a deploy.
//!
//! Database entities stand here, and beside them, in this folder, the GraphQL
//! SDL that clients were written against. Columns are plain (numbers, text,
//! JSON, time): `store/` turns rows into domain types. Nothing here may know
//! the domain; and `migration/` never imports this crate, because its history
//! is frozen and these types are not.

pub mod api_token;
pub mod audit_entry;
pub mod backup_code;
pub mod certificate;
pub mod event;
pub mod event_log;
pub mod group_assignment;
pub mod history_blob;
pub mod history_span;
pub mod invitation;
pub mod licence;
pub mod listener;
pub mod mapping;
pub mod node_group;
pub mod node_group_key;
pub mod node_token;
pub mod proxy;
pub mod proxy_metric;
pub mod route;
pub mod route_backend;
pub mod service;
pub mod service_assignment;
pub mod service_secret;
pub mod session;
pub mod snapshot;
pub mod user;
