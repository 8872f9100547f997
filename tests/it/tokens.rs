//! Tokens that are no good: refused with the same code at every edge, and nothing changed.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::graphql_socket::{Raw, init};
use crate::support::{PASSWORD, Plane, SECRET_KEY};

const CREATE_SERVICE: &str =
    "mutation($input: CreateServiceInput!) { createService(input: $input) { revision } }";
const LATER: i64 = 99_999_999_999;

fn sign(algorithm: Algorithm, kind: &str, sub: &str, exp: i64, key: &str) -> String {
    let claims = json!({ "sub": sub, "type": kind, "iat": 0, "exp": exp });
    let key = EncodingKey::from_secret(key.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap()
}

/// A good token of the first administrator, as they had them before there were sessions.
fn good() -> String {
    sign(Algorithm::HS256, "access", "1", LATER, SECRET_KEY)
}

fn unsigned(alg: &str, payload: &str) -> String {
    let header = json!({ "alg": alg, "typ": "JWT" }).to_string();
    format!("{}.{payload}.", BASE64.encode(header))
}

/// Makes a user over REST; who they are, and the answer to their sign-in.
async fn user(plane: &Plane, name: &str) -> (Value, Value) {
    let email = format!("{name}@example.org");
    let input = json!({ "username": name, "email": email, "password": PASSWORD });
    let (status, user) = plane.rest("POST", "/api/v1/users", input).await;
    assert_eq!(status, 201, "{user}");
    let body = json!({ "username": name, "password": PASSWORD });
    let login = plane.http_request("POST", "/api/v1/auth/login").json(&body).send().await.unwrap();
    let tokens: Value = login.json().await.unwrap();
    assert!(tokens["access_token"].is_string(), "{tokens}");
    (user, tokens)
}

fn token(tokens: &Value, kind: &str) -> String {
    tokens[kind].as_str().unwrap().to_owned()
}

/// Asks REST with a token that is no good.
async fn refused_by_rest(plane: &Plane, what: &str, authorization: Option<&str>, status: u16) {
    let service = json!({ "name": "new", "ip_fqdn": "10.0.0.9", "port": 80, "cluster_id": 1 });
    for (method, path, body) in [
        ("GET", "/api/v1/auth/me", Value::Null),
        ("GET", "/api/v1/services", Value::Null),
        ("POST", "/api/v1/services", service),
        ("DELETE", "/api/v1/users/1", Value::Null),
    ] {
        let mut request = plane.http_request(method, path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{what}: {method} {path}");
        let said: Value = response.json().await.unwrap();
        assert!(said["detail"].is_string(), "{what}: {said}");
    }
}

/// Asks GraphQL with a token that is no good.
async fn refused_by_graphql(plane: &Plane, what: &str, authorization: Option<&str>, code: &str) {
    let input = json!({ "input": { "name": "new", "ipFqdn": "10.0.0.9", "port": 80 } });
    for query in [CREATE_SERVICE, "{ services { nodes { id } } }", "{ xdsNodes { id } }"] {
        let answer = plane.ask_as(authorization, query, input.clone()).await;
        assert_eq!(answer.error()["extensions"]["code"], code, "{what}: {:#}", answer.0);
        assert!(answer.0["data"].is_null(), "{what} got {:#}", answer.0["data"]);
    }
}

#[tokio::test]
async fn who_is_not_signed_in_gets_nothing_and_changes_nothing() {
    let plane = Plane::start().await;
    let (goes, tokens_of_goes) = user(&plane, "goes").await;
    let (_, signs_out) = user(&plane, "signs-out").await;
    let revoked = token(&signs_out, "access_token");
    let logout = plane.http_request("POST", "/api/v1/auth/logout").bearer_auth(&revoked);
    assert_eq!(logout.send().await.unwrap().status(), 200);
    let off = json!({ "is_active": false });
    let path = format!("/api/v1/users/{}", goes["id"]);
    assert_eq!(plane.rest("PATCH", &path, off).await.0, 200);

    let good = good();
    let payload = good.split('.').nth(1).unwrap();
    let (hs256, hs512) = (Algorithm::HS256, Algorithm::HS512);
    let of_another = {
        // The payload of one, under the signature of another.
        let (mine, theirs) = (revoked.split('.'), good.split('.'));
        let parts: Vec<_> = mine.take(1).chain(theirs.skip(1).take(1)).collect();
        format!("{}.{}", parts.join("."), revoked.rsplit('.').next().unwrap())
    };
    let unauthenticated = [
        ("rubbish", "rubbish".to_owned()),
        ("expired", sign(hs256, "access", "1", 1, SECRET_KEY)),
        ("another key", sign(hs256, "access", "1", LATER, "guess")),
        ("another algorithm", sign(hs512, "access", "1", LATER, SECRET_KEY)),
        ("alg none", unsigned("none", payload)),
        ("alg None", unsigned("None", payload)),
        ("a refresh token", sign(hs256, "refresh", "1", LATER, SECRET_KEY)),
        ("a refresh token of a session", token(&signs_out, "refresh_token")),
        ("revoked", revoked.clone()),
        ("another user's payload", of_another),
        ("a user that is gone", sign(hs256, "access", "99", LATER, SECRET_KEY)),
        ("no user at all", sign(hs256, "access", "x", LATER, SECRET_KEY)),
        ("an API token that nobody has", format!("mpat_{}", "a".repeat(43))),
    ];
    let deactivated = [("deactivated", token(&tokens_of_goes, "access_token"))];
    let table = unauthenticated
        .into_iter()
        .map(|row| (row, 401, "UNAUTHENTICATED"))
        .chain(deactivated.into_iter().map(|row| (row, 403, "FORBIDDEN")));

    let earlier = plane.state().await;
    for ((what, token), status, code) in table {
        let authorization = format!("Bearer {token}");
        refused_by_rest(&plane, what, Some(&authorization), status).await;
        refused_by_graphql(&plane, what, Some(&authorization), code).await;
        let mut socket = Raw::open(&plane).await;
        socket.say(init(&token)).await;
        assert_eq!(socket.closed().await.0, 4403, "{what}");
        assert_eq!(plane.state().await, earlier, "{what} changed something");
    }
    for (what, authorization) in [
        ("no token", None),
        ("an empty header", Some("")),
        ("basic authentication", Some("Basic YWRtaW46YWRtaW4=")),
        ("no token after Bearer", Some("Bearer ")),
    ] {
        refused_by_rest(&plane, what, authorization, 401).await;
        refused_by_graphql(&plane, what, authorization, "UNAUTHENTICATED").await;
        assert_eq!(plane.state().await, earlier, "{what} changed something");
    }
    let good = format!("Bearer {good}");
    let answer = plane.ask_as(Some(&good), "{ viewer { username } }", json!({})).await;
    assert_eq!(answer.data()["viewer"]["username"], "admin", "the good one is good");
}
