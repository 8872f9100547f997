//! Bad input of routes.

use serde_json::json;

use super::Field::{At, Said};
use super::{CREATE_ROUTE, Row, Standing, UPDATE_ROUTE, but, row};

pub(super) fn routes(s: &Standing) -> Vec<Row> {
    let good = json!({ "name": "new", "hosts": ["n.example"], "backends": [{ "service": s.api }] });
    let create = |what, bad, field| row(what, CREATE_ROUTE, but(&good, bad), "INVALID", field);
    vec![
        create("no host", json!({ "hosts": [] }), At("input.hosts")),
        create("a host with a port", json!({ "hosts": ["a", "b:80"] }), At("input.hosts.1")),
        create("a host twice", json!({ "hosts": ["a", "A"] }), At("input.hosts.1")),
        create(
            "a regex that does not compile",
            json!({ "path": { "regex": "(" } }),
            At("input.path.regex"),
        ),
        create(
            "a huge regex",
            json!({ "path": { "regex": "a{1000}{1000}" } }),
            At("input.path.regex"),
        ),
        create(
            "a regex that RE2 has not",
            json!({ "path": { "regex": "[a&&b]" } }),
            At("input.path.regex"),
        ),
        create(
            "a regex that Envoy refuses",
            json!({ "path": { "regex": "/a**" } }),
            At("input.path.regex"),
        ),
        create(
            "a header regex that Envoy refuses",
            json!({ "headers": [{ "name": "a" }, { "name": "b", "value": { "regex": r"\p{Alphabetic}" } }] }),
            At("input.headers.1.value.regex"),
        ),
        create("a relative prefix", json!({ "path": { "prefix": "a" } }), At("input.path.prefix")),
        create(
            "two kinds of path",
            json!({ "path": { "prefix": "/", "exact": "/" } }),
            Said("path"),
        ),
        create("an unknown method", json!({ "methods": ["FETCH"] }), Said("methods")),
        create(
            "a pseudo header",
            json!({ "headers": [{ "name": ":path" }] }),
            At("input.headers.0.name"),
        ),
        create(
            "a header regex that does not compile",
            json!({ "headers": [{ "name": "a", "value": { "regex": "[" } }] }),
            At("input.headers.0.value.regex"),
        ),
        create("nothing to send to", json!({ "backends": [] }), At("input.backends")),
        create(
            "no weight at all",
            json!({ "backends": [{ "service": s.api, "weight": 0 }] }),
            At("input.backends"),
        ),
        create(
            "a service of another group",
            json!({ "backends": [{ "service": s.api }, { "service": s.theirs }] }),
            At("input.backends.1.service"),
        ),
        create(
            "a TCP service",
            json!({ "backends": [{ "service": s.raw }] }),
            At("input.backends.0.service"),
        ),
        create("a TCP listener", json!({ "listener": s.tcp_listener }), At("input.listener")),
        create(
            "11 retries",
            json!({ "retries": { "attempts": 11 } }),
            At("input.retries.attempts"),
        ),
        create("both ways", json!({ "redirect": { "https": true } }), At("input.redirect")),
        create(
            "a redirect to nowhere",
            json!({ "backends": [], "redirect": {} }),
            At("input.redirect"),
        ),
        row(
            "a change to a service of another group",
            UPDATE_ROUTE,
            json!({ "id": s.route, "backends": [{ "service": s.theirs }] }),
            "INVALID",
            At("input.backends.0.service"),
        ),
        row(
            "a taken name",
            CREATE_ROUTE,
            but(&good, json!({ "name": "web" })),
            "ALREADY_EXISTS",
            At("input.name"),
        ),
    ]
}
