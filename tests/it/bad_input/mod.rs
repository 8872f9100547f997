//! Bad input: a coded error that names the field, and nothing changed.

mod routes;
mod services;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use crate::support::{Plane, free_port};

const CREATE_SERVICE: &str =
    "mutation($input: CreateServiceInput!) { createService(input: $input) { revision } }";
const UPDATE_SERVICE: &str =
    "mutation($input: UpdateServiceInput!) { updateService(input: $input) { revision } }";
const DELETE_SERVICE: &str =
    "mutation($input: DeleteInput!) { deleteService(input: $input) { revision } }";
const CREATE_ROUTE: &str =
    "mutation($input: CreateRouteInput!) { createRoute(input: $input) { revision } }";
const UPDATE_ROUTE: &str =
    "mutation($input: UpdateRouteInput!) { updateRoute(input: $input) { revision } }";
const CREATE_LISTENER: &str =
    "mutation($input: CreateListenerInput!) { createListener(input: $input) { revision } }";
const UPDATE_LISTENER: &str =
    "mutation($input: UpdateListenerInput!) { updateListener(input: $input) { revision } }";
const DELETE_LISTENER: &str =
    "mutation($input: DeleteInput!) { deleteListener(input: $input) { revision } }";
const CREATE_GROUP: &str =
    "mutation($input: CreateNodeGroupInput!) { createNodeGroup(input: $input) { revision } }";
const CREATE_MAPPING: &str =
    "mutation($input: CreateMappingInput!) { createMapping(input: $input) { revision } }";
const UPDATE_GROUP: &str =
    "mutation($input: UpdateNodeGroupInput!) { updateNodeGroup(input: $input) { revision } }";
const DELETE_GROUP: &str =
    "mutation($input: DeleteInput!) { deleteNodeGroup(input: $input) { deletedId } }";
const ROTATE_KEY: &str = "mutation($input: RotateNodeGroupKeyInput!) {
    rotateNodeGroupKey(input: $input) { key } }";
const CREATE_TOKEN: &str =
    "mutation($input: CreateNodeTokenInput!) { createNodeToken(input: $input) { token } }";
const REVOKE_TOKEN: &str =
    "mutation($input: RevokeInput!) { revokeNodeToken(input: $input) { revokedId } }";

/// One thing that must be refused.
struct Row {
    what: &'static str,
    query: &'static str,
    variables: Value,
    code: &'static str,
    /// What `extensions.field` says, by dots; or else what the message holds.
    field: Field,
}

enum Field {
    At(&'static str),
    Said(&'static str),
}

use Field::{At, Said};

/// What stands in the database while the rows are refused.
struct Standing {
    api: Value,
    raw: Value,
    theirs: Value,
    route: Value,
    default_listener: Value,
    tcp_listener: Value,
    default_group: Value,
}

fn row(
    what: &'static str,
    query: &'static str,
    input: Value,
    code: &'static str,
    field: Field,
) -> Row {
    Row { what, query, variables: json!({ "input": input }), code, field }
}

/// `good` with the fields of `bad` in place of its own.
fn but(good: &Value, bad: Value) -> Value {
    let mut input = good.clone();
    for (key, value) in bad.as_object().unwrap() {
        input[key] = value.clone();
    }
    input
}

fn listeners_and_groups(s: &Standing, taken: u16) -> Vec<Row> {
    let good = json!({ "name": "new", "port": 12345 });
    let create = |what, bad, code, field| row(what, CREATE_LISTENER, but(&good, bad), code, field);
    vec![
        create("a bad address", json!({ "address": "localhost" }), "INVALID", At("input.address")),
        create(
            "an IPv4 address in IPv6's clothes",
            json!({ "address": "::ffff:127.0.0.1" }),
            "INVALID",
            At("input.address"),
        ),
        create(
            "an address of no interface in particular",
            json!({ "address": "fe80::1" }),
            "INVALID",
            At("input.address"),
        ),
        create("a port that another has", json!({ "port": taken }), "INVALID", At("input.port")),
        create("a taken name", json!({ "name": "tcp" }), "ALREADY_EXISTS", At("input.name")),
        create(
            "a service of another group",
            json!({ "tcpService": s.theirs }),
            "INVALID",
            At("input.tcpService"),
        ),
        row(
            "TCP under a route",
            UPDATE_LISTENER,
            json!({ "id": s.default_listener, "tcpService": s.raw }),
            "INVALID",
            At("input.listener"),
        ),
        row(
            "a listener that a route is on",
            DELETE_LISTENER,
            json!({ "id": s.default_listener }),
            "IN_USE",
            Said("route web"),
        ),
        row(
            "a taken group name",
            CREATE_GROUP,
            json!({ "name": "blue" }),
            "ALREADY_EXISTS",
            At("input.name"),
        ),
        row(
            "a setting twice",
            CREATE_GROUP,
            json!({ "name": "g", "runtime": [{ "key": "a", "value": "1" }, { "key": "a", "value": "2" }] }),
            "INVALID",
            At("input.runtime.1.key"),
        ),
        row(
            "the default group",
            DELETE_GROUP,
            json!({ "id": s.default_group }),
            "IN_USE",
            Said("default"),
        ),
    ]
}

fn mappings(s: &Standing) -> Vec<Row> {
    let good = json!({ "name": "new", "sourceServices": [s.api], "destServices": [s.raw] });
    let create = |what, bad, code, field| row(what, CREATE_MAPPING, but(&good, bad), code, field);
    vec![
        create("a mapping without a name", json!({ "name": "" }), "INVALID", At("input.name")),
        create(
            "a source of another group",
            json!({ "sourceServices": [s.theirs] }),
            "INVALID",
            At("input.sourceServices"),
        ),
        create("no service", json!({ "destServices": [] }), "INVALID", At("input.destServices")),
        create(
            "a route as a service",
            json!({ "destServices": [s.api, s.route] }),
            "INVALID",
            At("input.destServices.1"),
        ),
        create("no protocol", json!({ "protocols": [] }), "INVALID", At("input.protocols")),
        create(
            "ports backwards",
            json!({ "ports": ["80", "90-80"] }),
            "INVALID",
            At("input.ports.1"),
        ),
        row(
            "switching off what a route needs",
            UPDATE_SERVICE,
            json!({ "id": s.api, "isActive": false }),
            "IN_USE",
            Said("route web"),
        ),
        row(
            "a route to datagrams",
            UPDATE_SERVICE,
            json!({ "id": s.api, "protocol": "UDP" }),
            "INVALID",
            At("input.protocol"),
        ),
        row(
            "switching off the default group",
            UPDATE_GROUP,
            json!({ "id": s.default_group, "isActive": false }),
            "IN_USE",
            Said("default"),
        ),
        row(
            "room for no proxy",
            UPDATE_GROUP,
            json!({ "id": s.default_group, "maxProxies": 0 }),
            "INVALID",
            At("input.maxProxies"),
        ),
    ]
}

/// There is one called `taken`.
fn node_tokens(s: &Standing) -> Vec<Row> {
    let good = json!({ "name": "new" });
    let create = |what, bad, code, field| row(what, CREATE_TOKEN, but(&good, bad), code, field);
    let nobody = BASE64.encode("v1:NodeGroup:999");
    let nothing = BASE64.encode("v1:NodeToken:999");
    vec![
        create("a token without a name", json!({ "name": "" }), "INVALID", At("input.name")),
        create("a taken name", json!({ "name": "taken" }), "ALREADY_EXISTS", At("input.name")),
        create("a nameless node", json!({ "nodeId": "" }), "INVALID", At("input.nodeId")),
        create(
            "an end in the past",
            json!({ "expiresAt": "2001-01-01T00:00:00Z" }),
            "INVALID",
            At("input.expiresAt"),
        ),
        create(
            "an end that is no time",
            json!({ "expiresAt": "soon" }),
            "INVALID",
            Said("DateTime"),
        ),
        create("a group that is none", json!({ "group": s.api }), "INVALID", At("input.group")),
        create("a group that is gone", json!({ "group": nobody }), "NOT_FOUND", Said("node group")),
        row("a key of nobody", ROTATE_KEY, json!({ "group": nobody }), "NOT_FOUND", Said("999")),
        row("a key of no group", ROTATE_KEY, json!({ "group": "x" }), "INVALID", At("input.group")),
        row("an unknown token", REVOKE_TOKEN, json!({ "id": nothing }), "NOT_FOUND", Said("999")),
        row("no token's id", REVOKE_TOKEN, json!({ "id": s.api }), "INVALID", At("input.id")),
    ]
}

fn documents() -> Vec<Row> {
    let query =
        |what, query, field| Row { what, query, variables: json!({}), code: "INVALID", field };
    vec![
        query("no GraphQL", "hello {", Said("expected")),
        query("an unknown query", "{ clusters { id } }", Said("clusters")),
        query("a page of none", "{ services(first: 0) { nodes { id } } }", At("first")),
        query("a page of 201", "{ services(first: 201) { nodes { id } } }", At("first")),
        query("a cursor of nothing", r#"{ services(after: "x") { nodes { id } } }"#, At("after")),
        query(
            "a wait without end",
            r#"mutation { createService(input: { name: "w", ipFqdn: "a", port: 1 },
                waitFor: { nodes: ALL, timeoutMs: 60001 }) { revision } }"#,
            At("waitFor.timeoutMs"),
        ),
    ]
}

async fn stand(plane: &Plane, tcp_port: u16) -> Standing {
    let service = |group: Value, name: &str, protocol: &str| {
        let input = json!({
            "group": group, "name": name, "ipFqdn": "127.0.0.1", "port": 9, "protocol": protocol,
        });
        async {
            plane.change("createService", "CreateServiceInput", input).await["service"]["id"]
                .clone()
        }
    };
    let blue =
        plane.change("createNodeGroup", "CreateNodeGroupInput", json!({ "name": "blue" })).await;
    let api = service(Value::Null, "api", "HTTP").await;
    let raw = service(Value::Null, "raw", "TCP").await;
    let theirs = service(blue["nodeGroup"]["id"].clone(), "theirs", "HTTP").await;
    let input = json!({ "name": "web", "hosts": ["w.example"], "backends": [{ "service": api }] });
    let route = plane.change("createRoute", "CreateRouteInput", input).await["route"]["id"].clone();
    let input = json!({ "name": "tcp", "port": tcp_port, "tcpService": raw });
    let listener = plane.change("createListener", "CreateListenerInput", input).await;
    let taken = json!({ "input": { "name": "taken" } });
    plane.ask(CREATE_TOKEN, taken).await.data();
    let state = plane.state().await;
    Standing {
        default_listener: state["listeners"]["nodes"][0]["id"].clone(),
        default_group: state["nodeGroups"]["nodes"][0]["id"].clone(),
        tcp_listener: listener["listener"]["id"].clone(),
        api,
        raw,
        theirs,
        route,
    }
}

#[tokio::test]
async fn bad_input_is_refused_by_its_field_and_changes_nothing() {
    let plane = Plane::start().await;
    let tcp_port = free_port();
    let standing = stand(&plane, tcp_port).await;
    let mut rows = services::services(&standing);
    rows.extend(routes::routes(&standing));
    rows.extend(listeners_and_groups(&standing, tcp_port));
    rows.extend(mappings(&standing));
    rows.extend(node_tokens(&standing));
    rows.extend(documents());
    assert!(rows.len() >= 40, "{} rows", rows.len());

    let before = plane.state().await;
    for Row { what, query, variables, code, field } in rows {
        let answer = plane.ask(query, variables).await;
        let error = answer.error();
        assert_eq!(error["extensions"]["code"], code, "{what}: {error:#}");
        match field {
            At(path) => {
                let path: Vec<&str> = path.split('.').collect();
                assert_eq!(error["extensions"]["field"], json!(path), "{what}: {error:#}");
            }
            Said(words) => {
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(words), "{what}: {error:#}");
            }
        }
        assert_eq!(plane.state().await, before, "{what} changed something");
    }
}

#[tokio::test]
async fn a_wrong_password_does_not_tell_whether_there_is_such_a_user() {
    let plane = Plane::start().await;
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let mut errors = Vec::new();
    for username in ["admin", "nobody", "", "\u{0}"] {
        let input = json!({ "input": { "username": username, "password": "not this one" } });
        let mut error = plane.ask_as(None, login, input).await.error().clone();
        assert_eq!(error["extensions"]["code"], "UNAUTHENTICATED");
        error["locations"] = Value::Null;
        errors.push(error);
    }
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:#?}");
}

#[tokio::test]
async fn a_body_of_two_megabytes_is_refused() {
    let plane = Plane::start().await;
    let url = format!("http://127.0.0.1:{}/graphql", plane.http_port());
    let body = json!({ "query": "{ viewer { id } }", "variables": { "x": "y".repeat(2 << 20) } });
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 413);
}
