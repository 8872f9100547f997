//! Who may connect: tokens, client certificates, and what goes over which wire.

use chrono::{Duration, SecondsFormat, Utc};
use marchproxy_xds::testing::FakeEnvoy;
use marchproxy_xds::{DiscoveryService, ResourceType};
use serde_json::{Value, json};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::{Authority, Envoy, LIMIT, Pair, Plane, Protocol, eventually, secure_channel};

fn token_plane() -> Vec<(&'static str, String)> {
    vec![("XDS_AUTH", "token".to_owned())]
}

async fn rotate(plane: &Plane, group: &Value) -> String {
    let query = "mutation($input: RotateNodeGroupKeyInput!) {
        rotateNodeGroupKey(input: $input) { key nodeGroup { id keyCreatedAt } } }";
    let made = plane.ask(query, json!({ "input": { "group": group } })).await.data();
    assert!(made["rotateNodeGroupKey"]["nodeGroup"]["keyCreatedAt"].is_string(), "{made:#}");
    made["rotateNodeGroupKey"]["key"].as_str().unwrap().to_owned()
}

/// The id of a new node token, and the token.
async fn create_token(plane: &Plane, input: Value) -> (Value, String) {
    let query = "mutation($input: CreateNodeTokenInput!) {
        createNodeToken(input: $input) { token nodeToken { id } } }";
    let made = plane.ask(query, json!({ "input": input })).await.data();
    let made = &made["createNodeToken"];
    (made["nodeToken"]["id"].clone(), made["token"].as_str().unwrap().to_owned())
}

async fn revoke(plane: &Plane, id: &Value) {
    let query = "mutation($input: RevokeInput!) { revokeNodeToken(input: $input) { revokedId } }";
    let revoked = plane.ask(query, json!({ "input": { "id": id } })).await.data();
    assert_eq!(&revoked["revokeNodeToken"]["revokedId"], id);
}

async fn plain(plane: &Plane) -> Channel {
    let url = format!("http://127.0.0.1:{}", plane.xds_port());
    Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

/// A stream of a node that has asked for its listeners.
async fn ask(channel: Channel, authorization: Option<&str>, node: [&str; 2]) -> FakeEnvoy {
    let mut metadata = MetadataMap::new();
    if let Some(authorization) = authorization {
        metadata.insert("authorization", authorization.parse().unwrap());
    }
    let node = marchproxy_proto::Node {
        id: node[0].to_owned(),
        cluster: node[1].to_owned(),
        ..Default::default()
    };
    let (service, protocol) = (DiscoveryService::Aggregated, marchproxy_xds::Protocol::Delta);
    let mut envoy = FakeEnvoy::over(channel, metadata, service, protocol, Some(&node)).await;
    envoy.subscribe(ResourceType::Listener, &[]).await;
    envoy
}

/// Asks with a bearer token, as [`ask`].
async fn bear(plane: &Plane, token: &str, node: [&str; 2]) -> FakeEnvoy {
    ask(plain(plane).await, Some(&format!("Bearer {token}")), node).await
}

async fn is_served(mut envoy: FakeEnvoy) -> FakeEnvoy {
    let received = envoy.next().await;
    assert_eq!(received.resource_type, ResourceType::Listener);
    assert_eq!(received.resources.len(), 1, "{received:?}");
    envoy.ack(&received).await;
    envoy
}

async fn refusal(mut envoy: FakeEnvoy) -> Status {
    envoy.end().await.expect_err("it is refused")
}

async fn matched(plane: &Plane) -> Value {
    let query = "{ xdsNodes { nodeId matchedBy nodeGroup { name } } }";
    plane.ask(query, json!({})).await.data()["xdsNodes"].clone()
}

#[tokio::test]
async fn what_is_only_tried_ends_no_stream() {
    let plane = Plane::start_with(token_plane()).await;
    let (id, token) = create_token(&plane, json!({ "name": "one" })).await;
    let key = rotate(&plane, &Value::Null).await;
    let mut one = is_served(bear(&plane, &token, ["a", ""]).await).await;
    let mut two = is_served(bear(&plane, &key, ["b", ""]).await).await;
    let tried = "mutation($id: ID!) {
        revokeNodeToken(input: { id: $id }, dryRun: true) { revokedId }
        rotateNodeGroupKey(input: {}, dryRun: true) { nodeGroup { id } key } }";
    let tried = plane.ask(tried, json!({ "id": id })).await.data();
    assert_eq!(tried["revokeNodeToken"]["revokedId"], id);
    assert_eq!(tried["rotateNodeGroupKey"]["key"], Value::Null);
    // Both are told of what happens next: a stream that had ended would not be.
    let input = json!({ "name": "extra", "port": 9000 });
    plane.change("createListener", "CreateListenerInput", input).await;
    for envoy in [&mut one, &mut two] {
        assert_eq!(envoy.next().await.resource_type, ResourceType::Listener);
    }
}

#[tokio::test]
async fn a_real_envoy_is_let_in_by_its_token_until_that_is_revoked() {
    let plane = Plane::start_with(token_plane()).await;
    let blue = plane.create_group("blue").await;
    let (id, token) = create_token(&plane, json!({ "group": blue, "name": "one" })).await;
    let arguments = ["--node-id", "me", "--token", &token];
    let envoy = Envoy::start_as(&plane, Protocol::Delta, &arguments);
    plane.wait_for_node("me").await;
    let want =
        json!([{ "nodeId": "me", "matchedBy": "NODE_TOKEN", "nodeGroup": { "name": "blue" } }]);
    assert_eq!(matched(&plane).await, want);

    revoke(&plane, &id).await;
    eventually("the Envoy is told why it is not let in again", async || {
        // Envoy logs the message as it came: percent-encoded.
        let log = envoy.log().replace("%20", " ");
        let told = log.contains("this token is unknown, or was revoked");
        if told { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    assert_eq!(envoy.stat("listener_manager.total_listeners_active").await, 1);
    assert!(!plane.log().contains(&token[4..]), "the log has the token");
}

#[tokio::test]
async fn a_token_decides_which_group_a_node_belongs_to() {
    let plane = Plane::start_with(token_plane()).await;
    let blue = plane.create_group("blue").await;
    let key = rotate(&plane, &blue).await;
    let (_, token) = create_token(&plane, json!({ "group": blue, "name": "any" })).await;
    let bound = json!({ "group": blue, "name": "bound", "nodeId": "me" });
    let (_, bound) = create_token(&plane, bound).await;

    for (token, node) in [
        (&key, ["you", ""]),
        (&key, ["cluster-2", "blue"]),
        (&key, ["cluster-99", "no-such-group"]),
        (&token, ["me", "marchproxy"]),
        (&bound, ["me", "blue"]),
    ] {
        is_served(bear(&plane, token, node).await).await;
    }
    let nodes = matched(&plane).await;
    assert!(nodes.as_array().unwrap().iter().all(|node| node["nodeGroup"]["name"] == "blue"));

    let (unauthenticated, denied) = (Code::Unauthenticated, Code::PermissionDenied);
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    let unknown = format!("{}AA", &token[..token.len() - 2]);
    for (authorization, node, code, said) in [
        (None, ["me", "blue"], unauthenticated, "send `authorization: Bearer"),
        (Some("Basic eDp5".to_owned()), ["me", "blue"], unauthenticated, "must be `Bearer"),
        (bearer("secret"), ["me", "blue"], unauthenticated, "no group's key and no node token"),
        (bearer(&unknown), ["me", "blue"], unauthenticated, "unknown, or was revoked"),
        (bearer(&key), ["cluster-1", ""], denied, "`node.id` names the group default, and its key"),
        (bearer(&token), ["me", "default"], denied, "`node.cluster` names the group default"),
        (bearer(&bound), ["you", "blue"], denied, "bound to another `node.id`"),
    ] {
        let refused = refusal(ask(plain(&plane).await, authorization.as_deref(), node).await).await;
        assert_eq!(refused.code(), code, "{node:?} {refused:?}");
        assert!(refused.message().contains(said), "{said}: {refused:?}");
    }
    for secret in [&key, &token, &bound, &unknown] {
        assert!(!plane.log().contains(&secret[4..]), "the log has a token");
    }
}

#[tokio::test]
async fn what_was_opened_with_a_revoked_credential_ends_and_nothing_else_does() {
    let plane = Plane::start_with(token_plane()).await;
    let key = rotate(&plane, &Value::Null).await;
    let (one, first) = create_token(&plane, json!({ "name": "one" })).await;
    let (_, second) = create_token(&plane, json!({ "name": "two" })).await;
    let mut by_key = is_served(bear(&plane, &key, ["a", ""]).await).await;
    let mut by_first = is_served(bear(&plane, &first, ["b", ""]).await).await;
    let mut by_second = is_served(bear(&plane, &second, ["c", ""]).await).await;

    revoke(&plane, &one).await;
    by_first.end().await.unwrap();
    assert_eq!(refusal(bear(&plane, &first, ["b", ""]).await).await.code(), Code::Unauthenticated);

    let new = rotate(&plane, &Value::Null).await;
    by_key.end().await.unwrap();
    assert_eq!(refusal(bear(&plane, &key, ["a", ""]).await).await.code(), Code::Unauthenticated);
    is_served(bear(&plane, &new, ["a", ""]).await).await;

    // The one that had nothing to do with it still hears of changes.
    let query = "{ listeners { nodes { id } } }";
    let id = plane.ask(query, json!({})).await.data()["listeners"]["nodes"][0]["id"].clone();
    let input = json!({ "id": id, "name": "renamed" });
    plane.change("updateListener", "UpdateListenerInput", input).await;
    assert_eq!(by_second.next().await.resource_type, ResourceType::Listener);
}

#[tokio::test]
async fn a_token_that_ends_takes_its_streams_along() {
    let plane = Plane::start_with(token_plane()).await;
    let end = (Utc::now() + Duration::seconds(2)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let (_, token) = create_token(&plane, json!({ "name": "short", "expiresAt": end })).await;
    let mut envoy = is_served(bear(&plane, &token, ["me", ""]).await).await;
    envoy.end().await.unwrap();
    let refused = refusal(bear(&plane, &token, ["me", ""]).await).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("has expired"), "{refused:?}");
}

#[tokio::test]
async fn tokens_are_listed_without_what_is_secret() {
    let plane = Plane::start_with(token_plane()).await;
    let input = json!({ "name": "one", "nodeId": "me", "expiresAt": "2999-01-01T00:00:00Z" });
    let (id, _) = create_token(&plane, input).await;
    let (other, _) = create_token(&plane, json!({ "name": "two" })).await;
    let query = "{ nodeTokens { nodes { id name nodeId expiresAt nodeGroup { name } } }
        nodeGroup { keyCreatedAt nodeTokens(first: 1) { nodes { name } pageInfo { hasNextPage } } } }";
    let found = plane.ask(query, json!({})).await.data();
    let group = json!({ "name": "default" });
    let want = json!([
        { "id": id, "name": "one", "nodeId": "me", "expiresAt": "2999-01-01T00:00:00.000Z",
            "nodeGroup": group },
        { "id": other, "name": "two", "nodeId": null, "expiresAt": null, "nodeGroup": group },
    ]);
    assert_eq!(found["nodeTokens"]["nodes"], want);
    let page = json!({ "nodes": [{ "name": "one" }], "pageInfo": { "hasNextPage": true } });
    assert_eq!(found["nodeGroup"], json!({ "keyCreatedAt": null, "nodeTokens": page }));

    let schema = include_str!("../../schema/api.graphql");
    let object = schema.split("\ntype NodeToken {").nth(1).unwrap().split("\n}").next().unwrap();
    let fields: Vec<_> = object.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["createdAt", "expiresAt", "id", "name", "nodeGroup", "nodeId"]);
}

/// Where the files of a plane with TLS are, and who signed them.
struct Files {
    dir: tempfile::TempDir,
    authority: Authority,
    certificate: [String; 2],
    authorities: String,
}

impl Files {
    fn new() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let certificate = authority.server().write(dir.path(), "server");
        let authorities = dir.path().join("ca.crt");
        std::fs::write(&authorities, &authority.pem).unwrap();
        let authorities = authorities.to_str().unwrap().to_owned();
        Self { dir, authority, certificate, authorities }
    }

    fn tls(&self) -> Vec<(&'static str, String)> {
        let [certificate, key] = self.certificate.clone();
        vec![("XDS_TLS_CERT", certificate), ("XDS_TLS_KEY", key)]
    }

    fn mtls(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.tls();
        settings.push(("XDS_AUTH", "mtls".to_owned()));
        settings.push(("XDS_TLS_CLIENT_CA", self.authorities.clone()));
        settings
    }

    async fn channel(&self, plane: &Plane, own: Option<&Pair>) -> Channel {
        secure_channel(plane.xds_port(), &self.authority.pem, own).await.unwrap()
    }
}

#[tokio::test]
async fn a_real_envoy_belongs_to_the_group_that_its_certificate_names() {
    let files = Files::new();
    let plane = Plane::start_with(files.mtls()).await;
    plane.create_group("blue").await;
    plane.create_group("green").await;
    let by_spiffe = files.authority.sign(&[], &["spiffe://example.org/node-group/blue/node/1"]);
    let by_dns = files.authority.sign(&["green"], &[]);
    let mut envoys = vec![];
    for (name, pair, protocol) in
        [("one", by_spiffe, Protocol::Delta), ("two", by_dns, Protocol::Sotw)]
    {
        let [certificate, key] = pair.write(files.dir.path(), name);
        let arguments = [
            "--node-id",
            name,
            "--tls-ca",
            &files.authorities,
            "--tls-cert",
            &certificate,
            "--tls-key",
            &key,
        ];
        envoys.push(Envoy::start_as(&plane, protocol, &arguments));
        plane.wait_for_node(name).await;
    }
    let node = |id: &str, group: &str| json!({ "nodeId": id, "matchedBy": "CERTIFICATE", "nodeGroup": { "name": group } });
    let nodes = matched(&plane).await;
    assert_eq!(nodes, json!([node("one", "blue"), node("two", "green")]));
}

#[tokio::test]
async fn a_client_certificate_has_to_name_one_group_and_the_node_no_other() {
    let files = Files::new();
    let plane = Plane::start_with(files.mtls()).await;
    plane.create_group("blue").await;
    plane.create_group("green").await;
    let sign = |dns: &[&str], uris: &[&str]| files.authority.sign(dns, uris);
    let blue = sign(&[], &["spiffe://example.org/node-group/blue"]);
    is_served(ask(files.channel(&plane, Some(&blue)).await, None, ["me", "marchproxy"]).await)
        .await;

    let unknown = sign(&["red"], &["spiffe://example.org/node-group/red"]);
    let (nameless, both) = (sign(&[], &[]), sign(&["blue", "green"], &[]));
    let denied = Code::PermissionDenied;
    for (own, node, code, said) in [
        (None, ["me", "blue"], Code::Unauthenticated, "a client certificate is needed"),
        (Some(&unknown), ["me", "red"], denied, "names no node group that there is"),
        (Some(&nameless), ["cluster-1", "blue"], denied, "names no node group that there is"),
        (Some(&both), ["me", "blue"], denied, "more than one node group: blue, green"),
        (Some(&blue), ["me", "green"], denied, "names the group green, and its certificate is for"),
        (Some(&blue), ["cluster-1", ""], denied, "`node.id` names the group default"),
    ] {
        let refused = refusal(ask(files.channel(&plane, own).await, None, node).await).await;
        assert_eq!(refused.code(), code, "{node:?} {refused:?}");
        assert!(refused.message().contains(said), "{said}: {refused:?}");
    }

    // Of another authority: not even a connection comes about.
    let forged = Authority::new().sign(&["blue"], &[]);
    drop(secure_channel(plane.xds_port(), &files.authority.pem, Some(&forged)).await);
    eventually("the handshake has failed", async || {
        let failed = plane.log().contains("a TLS handshake failed");
        if failed { Ok(()) } else { Err("it has not".to_owned()) }
    })
    .await;
    assert!(!matched(&plane).await.to_string().contains("green"));
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_to_who_comes_and_those_who_are_there_stay() {
    let files = Files::new();
    let plane = Plane::start_with(files.tls()).await;
    let arguments = ["--node-id", "cluster-1", "--tls-ca", &files.authorities];
    let envoy = Envoy::start_as(&plane, Protocol::Delta, &arguments);
    plane.wait_for_node("cluster-1").await;
    let mut there = is_served(ask(files.channel(&plane, None).await, None, ["me", ""]).await).await;

    let next = Authority::new();
    assert!(secure_channel(plane.xds_port(), &next.pem, None).await.is_err());
    next.server().write(files.dir.path(), "server");
    let channel = eventually("the new certificate is shown", async || {
        let connected = secure_channel(plane.xds_port(), &next.pem, None).await;
        connected.map_err(|e| format!("{e:?}"))
    })
    .await;
    is_served(ask(channel, None, ["you", ""]).await).await;
    assert!(secure_channel(plane.xds_port(), &files.authority.pem, None).await.is_err());

    let port = crate::support::free_port();
    let service = json!({ "name": "s", "ipFqdn": "127.0.0.1", "port": port });
    let input = json!({ "input": service, "wait": { "nodes": "ANY", "timeoutMs": 20000 } });
    let query = "mutation($input: CreateServiceInput!, $wait: WaitForInput) {
        createService(input: $input, waitFor: $wait) { rollout { outcome } } }";
    let made = plane.ask(query, input).await.data();
    assert_eq!(made["createService"]["rollout"]["outcome"], "ACKED", "{made:#}");
    there.subscribe(ResourceType::Cluster, &[]).await;
    let clusters = there.next().await;
    assert_eq!(clusters.names(), ["cluster_1_service_1"]);
    assert_eq!(envoy.stat("control_plane.connected_state").await, 1);

    // What cannot be used changes nothing.
    std::fs::write(&files.certificate[0], "not a certificate").unwrap();
    eventually("the broken file is told of", async || {
        let told = plane.log().contains("cannot take over a new certificate");
        if told { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    assert!(secure_channel(plane.xds_port(), &next.pem, None).await.is_ok());
}

#[tokio::test]
async fn plain_text_is_not_taken_for_tls_and_does_no_harm() {
    let files = Files::new();
    let plane = Plane::start_with(files.tls()).await;
    let url = format!("http://127.0.0.1:{}", plane.xds_port());
    let connected = Endpoint::from_shared(url).unwrap().connect().await;
    if let Ok(channel) = connected {
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
        let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
        let answer = tokio::time::timeout(LIMIT, health.check(request)).await.unwrap();
        assert!(answer.is_err(), "{answer:?}");
    }
    is_served(ask(files.channel(&plane, None).await, None, ["me", ""]).await).await;
}
