//! The integration tests: one binary, against real parts.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test stops at the first trouble, and json!() makes values"
)]

mod access;
mod away;
mod bad_input;
mod bootstraps;
mod by_id;
mod certificates;
mod changes;
mod contracts;
mod databases;
mod dry_run;
mod durability;
mod event_nodes;
mod events;
mod graphql_http;
mod graphql_socket;
mod import;
mod instances;
mod internal;
mod labels;
mod layering;
mod licence;
mod lifetimes;
mod loads;
mod metrics;
mod pages;
mod preview;
mod proxyless;
mod reflection;
mod rest;
mod rest_auth;
mod rest_certificates;
mod rest_clusters;
mod rest_config;
mod rest_mappings;
mod rest_proxies;
mod rest_root;
mod rest_services;
mod search;
mod seed_readme;
mod separate;
mod start;
mod statuses;
mod subscriptions;
mod support;
mod telemetry;
mod time_machine;
mod tokens;
mod traffic;
mod truth;
mod upstreams;
mod user_errors;
mod wait_for;
mod warming;
