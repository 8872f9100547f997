//! GraphQL over HTTP and server-sent events: to the letter, and against abuse.

use std::fs;

use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Plane, installed};

const REQUESTED_BY: &str = "x-requested-by";

/// Runs a script of `tests/graphql-js`; it must end well.
async fn node(script: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new("node")
        .arg(format!("{}/tests/graphql-js/{script}", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .env("NODE_PATH", installed("graphql-js"))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}\n{wrong}");
    said
}

/// Posts a body as it is; the status, the headers and the body.
async fn post(plane: &Plane, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, HeaderMap, Value) {
    let mut request = plane.http_request("POST", "/graphql").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answered(request).await
}

async fn answered(request: reqwest::RequestBuilder) -> (u16, HeaderMap, Value) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.json().await.unwrap_or(Value::Null))
}

fn body(query: &str) -> Vec<u8> {
    json!({ "query": query }).to_string().into_bytes()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const LOGIN: &str =
    r#"mutation { login(input: {username: "admin", password: "wrong"}) { token } }"#;

#[tokio::test]
async fn all_audits_of_the_reference_pass() {
    let plane = Plane::start_as_newcomers_do().await;
    let url = format!("http://127.0.0.1:{}/graphql", plane.http_port());
    let said = node("audit.js", &[&url, plane.token()]).await;
    assert_eq!(said.trim(), "61 of 61");
}

#[tokio::test]
async fn real_clients_follow_over_websocket_and_over_events() {
    let plane = Plane::start_as_newcomers_do().await;
    let port = plane.http_port().to_string();
    let said = node("clients.js", &[&port, plane.token()]).await;
    assert_eq!(said.lines().count(), 7, "{said}");
}

#[tokio::test]
async fn a_variable_that_was_forgotten_is_named() {
    let plane = Plane::start_as_newcomers_do().await;
    let one = "mutation($input: CreateServiceInput!) { createService(input: $input) { revision } }";
    let answer = plane.ask(one, json!({})).await;
    let error = answer.error();
    assert_eq!(error["extensions"]["code"], "INVALID");
    let want = r#"Variable "$input" of type "CreateServiceInput!" is required but not provided"#;
    assert_eq!((&error["message"], &error["path"]), (&json!(want), &Value::Null));

    let token = format!("Bearer {}", plane.token());
    let two = "query a($id: ID!) { service(id: $id) { id } } query b { viewer { id } }";
    let said = json!({ "query": two, "operationName": "a" }).to_string().into_bytes();
    let (_, _, answer) = post(&plane, &[JSON, ("authorization", &token)], said).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "INVALID", "{answer}");
    assert_eq!(error["message"], r#"Variable "$id" is required but not provided"#);
}

#[tokio::test]
async fn a_variable_that_is_not_given_takes_nothing_away() {
    let plane = Plane::start_as_newcomers_do().await;
    let input = json!({ "name": "api", "ipFqdn": "127.0.0.1", "port": 9, "collection": "shop" });
    let made = plane.change("createService", "CreateServiceInput", input).await;
    let service = &made["service"];
    let update = "mutation($id: ID!, $seen: Int!, $port: Int, $collection: String) {
        updateService(input: {id: $id, ifRevision: $seen, port: $port, collection: $collection}) {
            service { revision collection endpoints { port } } } }";
    let seen = "query($id: ID!) { service(id: $id) { revision } }";
    let seen = plane.ask(seen, json!({ "id": service["id"] })).await.data();
    let mut variables = json!({ "id": service["id"], "seen": seen["service"]["revision"] });
    variables["port"] = json!(10);
    let service = plane.ask(update, variables.clone()).await.data()["updateService"].clone();
    let service = &service["service"];
    let (endpoints, collection) = (&service["endpoints"], &service["collection"]);
    assert_eq!((endpoints, collection), (&json!([{ "port": 10 }]), &json!("shop")));
    variables["seen"] = service["revision"].clone();
    variables["collection"] = Value::Null;
    let service = plane.ask(update, variables).await.data()["updateService"].clone();
    assert_eq!(service["service"]["collection"], Value::Null, "that says null");

    // An argument has its default then.
    let page = "query($first: Int) { services(first: $first) { nodes { name } } }";
    let services = plane.ask(page, json!({})).await.data()["services"]["nodes"].clone();
    assert_eq!(services, json!([{ "name": "api" }]));
}

#[tokio::test]
async fn no_form_can_have_a_browser_change_anything() {
    let plane = Plane::start_as_newcomers_do().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let (status, ..) = post(&plane, &[("content-type", content_type)], body(LOGIN)).await;
        assert_eq!(status, 415, "{content_type}");
    }
    for mutation in [LOGIN.to_owned(), LOGIN.replace("mutation", "mutation SignIn")] {
        let query = serde_urlencoded::to_string([("query", mutation)]).unwrap();
        let by_get = plane.http_request("GET", &format!("/graphql?{query}"));
        let (status, headers, answer) = answered(by_get).await;
        let allow = headers.get("allow").map(|allow| allow.to_str().unwrap());
        assert_eq!((status, allow), (405, Some("GET, POST")), "{answer}");
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let plane = Plane::start_as_newcomers_do().await;
    let many = |n: usize, one: &dyn Fn(usize) -> String| {
        body(&format!("{{ {} }}", (0..n).map(one).collect::<Vec<_>>().join(" ")))
    };
    let deep = "{ nodeGroups { nodes ".repeat(12) + "{ id }" + &" } }".repeat(12);
    // Each fragment spreads the next one twice: 2 KiB that come to 2^40 fields.
    let spread = |i| format!("fragment f{i} on Query {{ ...f{} ...f{} }} ", i + 1, i + 1);
    let doubling = (0..40).map(spread).collect::<String>();
    let doubling = format!("{{ ...f0 }} {doubling} fragment f40 on Query {{ __typename }}");
    let pages = "{ services(first: 200) { nodes { nodeGroup ".repeat(3);
    let pages = format!("{pages} {{ id }} {}", "} } }".repeat(3));
    for (what, body, names) in [
        ("aliases", many(101, &|i| format!("a{i}: __typename")), "aliases"),
        (
            "directives",
            many(1, &|_| format!("me {} {{ id }}", "@skip(if: false) ".repeat(51))),
            "directives",
        ),
        ("depth", body(&deep), ""),
        ("fragments", body(&doubling), "fragments"),
        ("pages of pages of pages", body(&pages), "shorter pages"),
        ("text", body(&format!("{{ me {{ id }} }} #{}", "x".repeat(110_000))), "102400"),
        ("batch", br#"[{"query": "{ me { id } }"}]"#.to_vec(), "one request"),
    ] {
        let (_, _, answer) = post(&plane, &[JSON], body).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "INVALID", "{what}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(names), "{what}: {answer}");
        assert!(answer.get("data").is_none(), "{what}: {answer}");
    }
    // Announced, and not sent: the answer comes before a client has sent it all.
    let announced = format!(
        "POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        64 << 20
    );
    let mut socket = TcpStream::connect(("127.0.0.1", plane.http_port())).await.unwrap();
    socket.write_all(announced.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let answer = plane.ask("{ me { id username } }", json!({})).await.0;
    assert_eq!(answer["extensions"]["cost"], json!({ "requested": 3, "limit": 2000 }));
}

#[tokio::test]
async fn the_schema_is_told_to_those_who_are_signed_in() {
    let plane = Plane::start_as_newcomers_do().await;
    let schema = "{ __schema { queryType { name } } }";
    let nobody = plane.ask_as(None, schema, json!({})).await;
    assert_eq!(nobody.error()["extensions"]["code"], "UNAUTHENTICATED");
    let admin = plane.ask(schema, json!({})).await.data();
    assert_eq!(admin["__schema"]["queryType"]["name"], "Query");

    let typo = "{ viewr { id } }";
    let hint = |answer: Value| answer["errors"][0]["message"].as_str().unwrap().to_owned();
    let nobody = hint(plane.ask_as(None, typo, json!({})).await.0);
    assert!(nobody.contains("viewr") && !nobody.contains("Did you mean"), "{nobody}");
    let admin = hint(plane.ask(typo, json!({})).await.0);
    assert!(admin.contains("Did you mean"), "{admin}");

    let open = vec![("GRAPHQL_INTROSPECTION", "everybody".to_owned())];
    let plane = Plane::start_with(open).await;
    let nobody = plane.ask_as(None, schema, json!({})).await.data();
    assert_eq!(nobody["__schema"]["queryType"]["name"], "Query");
}

#[tokio::test]
async fn with_trusted_documents_nothing_else_is_executed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("documents.json");
    let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
    let listeners = "{ listeners { nodes { id } } }";
    let known = json!({ "sha256:01": login, "sha256:02": listeners });
    fs::write(&file, known.to_string()).unwrap();
    let settings = vec![("GRAPHQL_TRUSTED_DOCUMENTS", file.to_str().unwrap().to_owned())];
    let plane = Plane::start_with(settings).await;
    let by_id = |id: &str| {
        let request = plane.http_request("POST", "/graphql").bearer_auth(plane.token());
        answered(request.json(&json!({ "documentId": id })))
    };
    let (_, _, answer) = by_id("sha256:02").await;
    assert!(answer["data"]["listeners"]["nodes"][0]["id"].is_string(), "{answer}");
    let (_, _, answer) = by_id("sha256:03").await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("documentId"), "{answer}");
}

/// The cookies that an answer sets, as a client sends them.
fn cookies(headers: &HeaderMap) -> String {
    let set = headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let pairs = set.map(|cookie| {
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap()
    });
    pairs.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_browser_may_keep_its_session_in_cookies() {
    let plane = Plane::start_as_newcomers_do().await;
    let ask = async |cookies: &str, by: bool, query: &str| {
        let mut request = plane.http_request("POST", "/graphql").header(COOKIE, cookies);
        if by {
            request = request.header(REQUESTED_BY, "dashboard");
        }
        answered(request.json(&json!({ "query": query }))).await
    };
    let login = r#"mutation { login(input: {username: "admin",
        password: "correct horse battery staple"}) { user { username } } }"#;
    let me = "{ me { username } }";

    let (_, headers, _) = ask("", false, login).await;
    assert_eq!(cookies(&headers), "", "only who asks for cookies gets them");
    let (_, headers, _) = ask("", true, login).await;
    let mine = cookies(&headers);
    let (_, _, answer) = ask(&mine, true, me).await;
    assert_eq!(answer["data"]["me"]["username"], "admin");
    let (status, ..) = ask(&mine, false, me).await;
    assert_eq!(status, 403, "without the header it may be another page that asks");

    let (_, headers, answer) = ask(&mine, true, "mutation { refreshToken { expiresAt } }").await;
    let newer = cookies(&headers);
    assert!(newer.contains("marchproxy_access") && newer != mine, "{answer}");
    let (_, headers, _) = ask(&newer, true, "mutation { logout { userId } }").await;
    assert_eq!(cookies(&headers), "marchproxy_access=; marchproxy_refresh=");
    let (_, _, answer) = ask(&newer, true, me).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_token_that_is_no_good_has_a_status_of_its_own() {
    let plane = Plane::start_as_newcomers_do().await;
    for accept in ["application/json", "application/graphql-response+json"] {
        let headers = [JSON, (ACCEPT.as_str(), accept), ("authorization", "Bearer nonsense")];
        let (status, headers, answer) = post(&plane, &headers, body("{ me { id } }")).await;
        assert_eq!(status, 401, "{answer}");
        assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with(accept));
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
}
