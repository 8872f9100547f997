//! Certificates: fetched from local stores, renewed, and served by a real Envoy.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Authority, CLIENT_SECRET, Envoy, Mood, Pair, Plane, Protocol, SecureTraffic, Stores, Upstream,
    VAULT_TOKEN, eventually, free_port, secure_get, store_settings,
};
use crate::traffic::in_both_protocols;

in_both_protocols! {
    a_renewed_certificate_is_served_and_no_request_fails,
}

const UPLOAD: &str = "mutation($input: UploadCertificateInput!) {
    uploadCertificate(input: $input) { certificate { id fingerprint } revision } }";
const FETCH: &str = "mutation($input: FetchCertificateInput!) {
    fetchCertificate(input: $input) { certificate { id fingerprint source } } }";
const UPDATE: &str = "mutation($input: UpdateCertificateInput!) {
    updateCertificate(input: $input) { certificate { id fingerprint } } }";
const RENEW: &str = "mutation($input: RenewCertificateInput!) {
    renewCertificate(input: $input) { certificate { fingerprint renewalError } } }";
const DELETE: &str =
    "mutation($input: DeleteInput!) { deleteCertificate(input: $input) { deletedId } }";
const SHOWN: &str = "query($id: ID!) { certificate(id: $id) {
    name source chain commonName subject issuer subjectAltNames serial fingerprint notBefore
    notAfter isExpired daysLeft autoRenew renewBeforeDays needsRenewal lastRenewal renewalError
    isActive } }";

fn all() -> Value {
    json!({ "nodes": "ALL", "timeoutMs": 20000 })
}

fn kv() -> Value {
    json!({ "name": "web", "from": { "vaultKv": "secret/tls/web" } })
}

/// The payload of a mutation that must succeed.
async fn done(plane: &Plane, query: &str, input: Value) -> Value {
    let data = plane.ask(query, json!({ "input": input })).await.data();
    data.as_object().unwrap().values().next().unwrap()["certificate"].clone()
}

/// The code and the message of one that must not.
async fn refused(plane: &Plane, query: &str, input: Value) -> (String, String) {
    let answer = plane.ask(query, json!({ "input": input })).await;
    let error = answer.error();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&error["extensions"]["code"]), text(&error["message"]))
}

async fn shown(plane: &Plane, id: &Value) -> Value {
    plane.ask(SHOWN, json!({ "id": id })).await.data()["certificate"].clone()
}

async fn default_listener(plane: &Plane) -> Value {
    let listeners = plane.ask("{ listeners { nodes { id } } }", json!({})).await.data();
    listeners["listeners"]["nodes"][0]["id"].clone()
}

async fn secure(plane: &Plane, certificate: &Value) -> Value {
    let input = json!({ "id": default_listener(plane).await, "certificate": certificate });
    plane.change_and_wait("updateListener", "UpdateListenerInput", input, all()).await
}

/// All that anybody can read, and the log.
async fn everything(plane: &Plane) -> String {
    let query = "{ certificates { nodes { id name chain } }
        auditEntries { nodes { operation summary before after } }
        snapshots(first: 20) { nodes { id resources(first: 20) { nodes { name json } } } } }";
    let answer = plane.ask(query, json!({})).await.0;
    let rest = plane.rest("GET", "/api/v1/certificates", Value::Null).await.1;
    let one = plane.rest("GET", "/api/v1/certificates/1", Value::Null).await.1;
    assert_eq!(one["name"], "web", "{one}");
    assert!(answer["data"]["certificates"].is_object(), "{answer}");
    format!("{answer}{rest}{one}{}", plane.log())
}

async fn a_renewed_certificate_is_served_and_no_request_fails(protocol: Protocol) {
    let (stores, authority) = (Stores::start().await, Authority::new());
    let (one, two) = (authority.sign_for_days("hello", 10), authority.sign_for_days("hello", 200));
    stores.put(&one, &authority.pem);
    let (plane, upstream) =
        (Plane::start_with(stores.settings()).await, Upstream::start("up").await);
    let envoy = Envoy::start(&plane, protocol).await;
    plane.create_service("hello", upstream.port()).await;
    let first = done(&plane, FETCH, kv()).await;
    let id = &first["id"];
    let secured = secure(&plane, id).await;
    assert_eq!(secured["rollout"]["outcome"], "ACKED", "{secured:#}");
    let port = plane.listener;
    let meets = async |fingerprint: &Value| {
        eventually("the certificate is served", async || {
            match secure_get(port, "hello", &authority.pem).await {
                Ok((met, body)) if json!(met) == *fingerprint && body == "up" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };
    meets(&first["fingerprint"]).await;
    let before = plane.ask("{ snapshots { nodes { id } } }", json!({})).await.data();
    let before = before["snapshots"]["nodes"][0]["id"].clone();

    let drained = "listener_manager.listener_modified";
    let modified = envoy.stat(drained).await;
    let traffic = SecureTraffic::start(port, "hello", &authority.pem);
    stores.put(&two, &authority.pem);
    done(&plane, UPDATE, json!({ "id": id, "autoRenew": true })).await; // it is due at once
    let second = eventually("it is renewed", async || {
        let now = shown(&plane, id).await;
        if now["lastRenewal"].is_null() { Err(now.to_string()) } else { Ok(now) }
    })
    .await;
    assert_ne!(second["fingerprint"], first["fingerprint"]);
    assert_eq!(second["renewalError"], Value::Null);
    meets(&second["fingerprint"]).await;
    let (met, failed) = traffic.stop().await;
    assert_eq!(failed, Vec::<String>::new());
    let count = |of: &Value| met.get(of["fingerprint"].as_str().unwrap()).copied().unwrap_or(0);
    assert!(count(&first) > 0, "{met:?}");
    assert_eq!(envoy.stat(drained).await, modified, "the listener was drained");

    // A rollback leaves the renewed one where it is.
    let back = "mutation($input: RollbackInput!) {
        rollback(input: $input, waitFor: { nodes: ALL, timeoutMs: 20000 }) { revision } }";
    plane.ask(back, json!({ "input": { "toSnapshot": before } })).await.data();
    meets(&second["fingerprint"]).await;

    let (code, why) = refused(&plane, DELETE, json!({ "id": id })).await;
    assert_eq!(code, "IN_USE");
    assert_eq!(why, "certificate web is in use by listener marchproxy_listener");
    let read = everything(&plane).await;
    for secret in [one.secret(), two.secret(), VAULT_TOKEN, CLIENT_SECRET] {
        assert!(!read.contains(secret), "a secret is shown");
    }

    secure(&plane, &Value::Null).await;
    plane.ask(DELETE, json!({ "input": { "id": id } })).await.data();
    // What needs a key that is gone does not come back.
    let answer = plane.ask(back, json!({ "input": { "toSnapshot": before } })).await;
    assert_eq!(answer.error()["extensions"]["code"], "CONFLICT", "{:?}", answer.0);
    assert!(answer.0.to_string().contains("needs certificate"), "{:?}", answer.0);
}

#[tokio::test]
async fn a_certificate_is_read_when_it_is_uploaded() {
    let (plane, authority) = (Plane::start().await, Authority::new());
    let Pair { certificate, key } = authority.sign_for_days("a.example", 10);
    let input = |change: Value| {
        let mut input = json!({
            "name": "web", "certData": certificate, "keyData": key, "caChain": authority.pem,
        });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "input": input })
    };
    let other = authority.sign_for_days("a.example", 10);
    let expired = authority.sign_for_days("a.example", -10);
    let before = plane.state().await;
    for (change, code, field) in [
        (json!({ "name": "a b" }), "INVALID", "name"),
        (json!({ "certData": "x" }), "INVALID", "certData"),
        (json!({ "certData": key }), "INVALID", "certData"),
        (json!({ "certData": expired.certificate, "keyData": expired.key }), "INVALID", "certData"),
        (json!({ "caChain": "x" }), "INVALID", "caChain"),
        (json!({ "keyData": other.key }), "INVALID", "keyData"),
        (json!({ "keyData": "x" }), "INVALID", "keyData"),
    ] {
        let answer = plane.ask(UPLOAD, input(change.clone())).await;
        let extensions = &answer.error()["extensions"];
        assert_eq!(extensions["code"], code, "{answer:?}");
        assert_eq!(extensions["field"], json!(["input", field]), "{answer:?}");
        assert!(!answer.0.to_string().contains(other.secret()), "{answer:?}");
    }
    assert_eq!(plane.state().await, before, "something has changed");

    let made = plane.ask(UPLOAD, input(json!({}))).await.data();
    let id = &made["uploadCertificate"]["certificate"]["id"];
    let read = shown(&plane, id).await;
    assert_eq!(read["subjectAltNames"], json!(["a.example"]));
    assert_eq!((&read["commonName"], &read["source"]), (&json!("a.example"), &json!("UPLOAD")));
    assert!(read["issuer"].as_str().unwrap().contains("an authority"), "{read}");
    assert_eq!((&read["isExpired"], &read["needsRenewal"]), (&json!(false), &json!(false)));
    assert_eq!(read["chain"].as_str().unwrap().matches("BEGIN CERTIFICATE").count(), 2);
    let (code, _) = refused(&plane, UPLOAD, input(json!({}))["input"].clone()).await;
    assert_eq!(code, "ALREADY_EXISTS");
    let (code, _) = refused(&plane, RENEW, json!({ "id": id })).await;
    assert_eq!(code, "REFUSED", "an uploaded one is not renewed");

    // A listener of another group does not get it.
    let group = plane.create_group("blue").await;
    let listeners = "query($id: ID!) { listeners(group: $id) { nodes { id } } }";
    let theirs = plane.ask(listeners, json!({ "id": group })).await.data();
    let theirs = &theirs["listeners"]["nodes"][0]["id"];
    let update = "mutation($input: UpdateListenerInput!) {
        updateListener(input: $input) { revision } }";
    let answer = plane.ask(update, json!({ "input": { "id": theirs, "certificate": id } })).await;
    assert_eq!(answer.error()["extensions"]["field"], json!(["input", "certificate"]));

    // An active one that is in use stays active; another in its place is taken.
    secure(&plane, id).await;
    let (code, _) = refused(&plane, UPDATE, json!({ "id": id, "isActive": false })).await;
    assert_eq!(code, "IN_USE");
    let replaced = json!({ "id": id, "certData": other.certificate, "keyData": other.key });
    let replaced = done(&plane, UPDATE, replaced).await;
    assert_ne!(replaced["fingerprint"], read["fingerprint"]);
}

#[tokio::test]
async fn certificates_come_from_each_store() {
    let (stores, authority) = (Stores::start().await, Authority::new());
    let pair = authority.sign_for_days("a.example", 100);
    stores.put(&pair, &authority.pem);
    let plane = Plane::start_with(stores.settings()).await;
    let infisical = json!({ "infisical": { "path": "/tls/web/", "project": "p-1" } });
    let pki = json!({ "vaultPki": { "role": "web", "commonName": "a.example" } });
    for (name, from, source) in [
        ("kv", json!({ "vaultKv": "secret/data/tls/web" }), "VAULT"),
        ("pki", pki, "VAULT"),
        ("infisical", infisical, "INFISICAL"),
    ] {
        let made = done(&plane, FETCH, json!({ "name": name, "from": from })).await;
        assert_eq!(made["source"], source);
        // There is nothing newer.
        let (code, why) = refused(&plane, RENEW, json!({ "id": made["id"] })).await;
        assert_eq!(code, "CONFLICT", "{why}");
        let now = shown(&plane, &made["id"]).await;
        assert_eq!(now["renewalError"], json!(why));
        assert_eq!(now["fingerprint"], made["fingerprint"]);
    }
    let asked = stores.asked();
    for want in [
        "GET /v1/secret/data/tls/web",
        "POST /v1/pki/issue/web",
        "POST /api/v1/auth/universal-auth/login",
        "GET /api/v3/secrets/raw?workspaceId=p-1&environment=production&secretPath=%2Ftls%2Fweb",
    ] {
        assert!(asked.iter().any(|asked| asked == want), "{want}: {asked:#?}");
    }
    for bad in ["../sys/seal", "a?b", ""] {
        let input = json!({ "name": "bad", "from": { "vaultKv": bad } });
        let answer = plane.ask(FETCH, json!({ "input": input })).await;
        let field = &answer.error()["extensions"]["field"];
        assert_eq!(*field, json!(["input", "from", "vaultKv"]), "{bad}");
    }
}

#[tokio::test]
async fn a_store_that_is_no_help_says_so_and_the_old_certificate_stays() {
    let (stores, authority) = (Stores::start().await, Authority::new());
    let good = authority.sign_for_days("a.example", 100);
    stores.put(&good, &authority.pem);
    let plane = Plane::start_with(stores.settings()).await;
    let made = done(&plane, FETCH, kv()).await;
    let before = plane.state().await;
    let other = authority.sign_for_days("a.example", 100);
    let mixed = json!({ "certificate": good.certificate, "private_key": other.key });
    for (mood, texts, code, why) in [
        (Mood::Silent, None, "UNAVAILABLE", "Vault is not available now"),
        (Mood::Broken, None, "UNAVAILABLE", "Vault is not available now"),
        (Mood::Babbling, None, "SOURCE", "Vault has nothing there"),
        (Mood::Locked, None, "SOURCE", "Vault does not let this control plane in"),
        (Mood::Well, Some(json!({})), "SOURCE", "Vault has no certificate there"),
        (Mood::Well, Some(mixed), "SOURCE", "the private key that vault has is not the key"),
    ] {
        stores.be(mood);
        if let Some(texts) = texts {
            stores.put_texts(texts);
        }
        for (query, input) in [
            (RENEW, json!({ "id": made["id"] })),
            (FETCH, json!({ "name": "another", "from": { "vaultKv": "secret/tls/web" } })),
        ] {
            let began = Instant::now();
            let (got, said) = refused(&plane, query, input).await;
            assert_eq!(got, code, "{mood:?}: {said}");
            assert!(said.starts_with(why), "{mood:?}: {said}");
            assert!(began.elapsed() < Duration::from_secs(10), "{mood:?}");
        }
        let now = shown(&plane, &made["id"]).await;
        assert_eq!(now["fingerprint"], made["fingerprint"]);
        assert!(now["renewalError"].as_str().unwrap().starts_with(why), "{now}");
    }
    assert_eq!(plane.state().await, before, "something has changed");
    for secret in [VAULT_TOKEN, good.secret(), other.secret()] {
        assert!(!plane.log().contains(secret), "a secret is in the log");
    }
}

#[tokio::test]
async fn a_store_that_is_away_or_not_set_up_says_so() {
    let away = format!("http://127.0.0.1:{}", free_port());
    let plane = Plane::start_with(store_settings(&away)).await;
    let infisical = json!({ "infisical": { "path": "/tls/web", "project": "p-1" } });
    let input = |from: &Value| json!({ "name": "web", "from": from });
    for from in [&json!({ "vaultKv": "secret/tls/web" }), &infisical] {
        let (code, why) = refused(&plane, FETCH, input(from)).await;
        assert_eq!(code, "UNAVAILABLE", "{why}");
    }
    let plane = Plane::start().await;
    let (code, why) = refused(&plane, FETCH, kv()).await;
    assert_eq!((code.as_str(), why.contains("VAULT_ADDR")), ("REFUSED", true), "{why}");
    let (code, why) = refused(&plane, FETCH, input(&infisical)).await;
    assert_eq!((code.as_str(), why.contains("INFISICAL_")), ("REFUSED", true), "{why}");
}
