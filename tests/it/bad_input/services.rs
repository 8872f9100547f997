//! Bad input of services.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::Field::{At, Said};
use super::{CREATE_SERVICE, DELETE_SERVICE, Row, Standing, UPDATE_SERVICE, but, row};

pub(super) fn services(s: &Standing) -> Vec<Row> {
    let good = json!({ "name": "new", "ipFqdn": "10.0.0.9", "port": 80 });
    let create = |what, bad, code, field| row(what, CREATE_SERVICE, but(&good, bad), code, field);
    let update = |what, bad: Value, code, field| {
        row(what, UPDATE_SERVICE, but(&json!({ "id": s.api }), bad), code, field)
    };
    let pem = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
    vec![
        create("an empty name", json!({ "name": "" }), "INVALID", At("input.name")),
        create("a huge name", json!({ "name": "x".repeat(101) }), "INVALID", At("input.name")),
        create("a name with a space", json!({ "name": "a b" }), "INVALID", At("input.name")),
        create(
            "a name of no ASCII",
            json!({ "name": "\u{e9}t\u{e9}" }),
            "INVALID",
            At("input.name"),
        ),
        create(
            "SQL in a name",
            json!({ "name": "x'; DROP TABLE service;--" }),
            "INVALID",
            At("input.name"),
        ),
        create("a taken name", json!({ "name": "api" }), "ALREADY_EXISTS", At("input.name")),
        create("a taken host", json!({ "name": "API" }), "INVALID", At("input.name")),
        create("port 0", json!({ "port": 0 }), "INVALID", At("input.port")),
        create("port 65536", json!({ "port": 65536 }), "INVALID", At("input.port")),
        create("a negative port", json!({ "port": -1 }), "INVALID", At("input.port")),
        create(
            "a port beyond 32 bits",
            json!({ "port": 4_294_967_376_i64 }),
            "INVALID",
            Said("port"),
        ),
        create("a port as text", json!({ "port": "80" }), "INVALID", Said("port")),
        create("a port with a fraction", json!({ "port": 80.5 }), "INVALID", Said("port")),
        create("no port", json!({ "port": null }), "INVALID", Said("port")),
        create("an empty host", json!({ "ipFqdn": "" }), "INVALID", At("input.ipFqdn")),
        create("a URL as host", json!({ "ipFqdn": "http://a" }), "INVALID", At("input.ipFqdn")),
        create("half an address", json!({ "ipFqdn": "10.0.0" }), "INVALID", At("input.ipFqdn")),
        create(
            "a huge host",
            json!({ "ipFqdn": (["x"; 130].join(".")) }),
            "INVALID",
            At("input.ipFqdn"),
        ),
        create("an unknown field", json!({ "tier": "gold" }), "INVALID", Said("tier")),
        create("an unknown protocol", json!({ "protocol": "SCTP" }), "INVALID", Said("protocol")),
        create("weight 0", json!({ "weight": 0 }), "INVALID", At("input.weight")),
        create(
            "a bad endpoint",
            json!({ "endpoints": [{ "host": "10.0.0.1", "port": 1 }, { "host": "10.0.0.2", "port": 0 }] }),
            "INVALID",
            At("input.endpoints.1.port"),
        ),
        create(
            "an endpoint twice",
            json!({ "endpoints": [{ "host": "10.0.0.9", "port": 80 }] }),
            "INVALID",
            At("input.endpoints.0.host"),
        ),
        create(
            "a timeout of minus one",
            json!({ "timeouts": { "requestMs": -1 } }),
            "INVALID",
            At("input.timeouts.requestMs"),
        ),
        create(
            "a probe longer than its interval",
            json!({ "healthCheck": { "intervalMs": 10, "timeoutMs": 11 } }),
            "INVALID",
            At("input.healthCheck.timeoutMs"),
        ),
        create(
            "a probed path on TCP",
            json!({ "protocol": "TCP", "healthCheck": { "path": "/" } }),
            "INVALID",
            At("input.healthCheck.path"),
        ),
        create(
            "a private key as authority",
            json!({ "ipFqdn": "a.example", "tls": { "caPem": pem } }),
            "INVALID",
            At("input.tls.caPem"),
        ),
        create("another's id as group", json!({ "group": s.api }), "INVALID", At("input.group")),
        create(
            "a group that is not there",
            json!({ "group": BASE64.encode("v1:NodeGroup:99") }),
            "NOT_FOUND",
            Said("node group 99"),
        ),
        update("a bad change", json!({ "port": 0 }), "INVALID", At("input.port")),
        update("TCP under a route", json!({ "protocol": "TCP" }), "INVALID", At("input.protocol")),
        row("an id of nothing", UPDATE_SERVICE, json!({ "id": "??" }), "INVALID", At("input.id")),
        row(
            "a service that is not there",
            UPDATE_SERVICE,
            json!({ "id": BASE64.encode("v1:Service:99"), "port": 1 }),
            "NOT_FOUND",
            Said("service 99"),
        ),
        row(
            "a service that a route uses",
            DELETE_SERVICE,
            json!({ "id": s.api }),
            "IN_USE",
            Said("route web"),
        ),
        row(
            "a service that a listener uses",
            DELETE_SERVICE,
            json!({ "id": s.raw }),
            "IN_USE",
            Said("listener tcp"),
        ),
    ]
}
