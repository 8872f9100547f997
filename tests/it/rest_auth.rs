//! Signing in over REST, and users.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Plane};

/// The status and the body of what somebody else asks.
async fn ask(plane: &Plane, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let mut request = plane.http_request(method, path);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

async fn login(plane: &Plane, username: &str, password: &str) -> (u16, Value) {
    let body = json!({ "username": username, "password": password });
    ask(plane, "", "POST", "/api/v1/auth/login", body).await
}

fn token(answer: &Value) -> &str {
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token in {answer}"))
}

#[tokio::test]
async fn a_session_goes_from_sign_in_to_sign_out() {
    let plane = Plane::start().await;
    let (status, signed_in) = login(&plane, "admin", PASSWORD).await;
    assert_eq!(status, 200, "{signed_in}");
    assert_eq!(signed_in["token_type"], "bearer");
    assert_eq!(signed_in["requires_2fa"], false);
    assert_eq!(signed_in["is_admin"], true);
    assert_eq!(signed_in["expires_in"], 1800);
    let by_form = plane
        .http_request("POST", "/api/v1/auth/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("email=admin&password=correct+horse+battery+staple");
    let by_form = by_form.send().await.unwrap();
    assert_eq!(by_form.status(), 200);

    let (status, me) = ask(&plane, token(&signed_in), "GET", "/api/v1/auth/me", Value::Null).await;
    assert_eq!((status, &me["username"]), (200, &json!("admin")));

    let old = json!({ "refresh_token": signed_in["refresh_token"] });
    let refresh =
        async |body: &Value| ask(&plane, "", "POST", "/api/v1/auth/refresh", body.clone()).await;
    let (status, renewed) = refresh(&old).await;
    assert_eq!((status, &renewed["expires_in"]), (200, &json!(1800)), "{renewed}");
    // A refresh token is no access token.
    let refresh_token = renewed["refresh_token"].as_str().unwrap();
    let (status, said) = ask(&plane, refresh_token, "GET", "/api/v1/auth/me", Value::Null).await;
    assert_eq!((status, &said["detail"]), (401, &json!("Could not validate credentials")));

    let (status, said) =
        ask(&plane, token(&renewed), "POST", "/api/v1/auth/logout", Value::Null).await;
    assert_eq!((status, said), (200, json!({ "message": "Logged out successfully" })));
    let (status, _) = ask(&plane, token(&renewed), "GET", "/api/v1/auth/me", Value::Null).await;
    assert_eq!(status, 401);
    let (status, said) = refresh(&json!({ "refresh_token": refresh_token })).await;
    assert_eq!((status, &said["detail"]), (401, &json!("Invalid or expired refresh token")));
}

#[tokio::test]
async fn a_sign_in_that_fails_says_as_much_as_it_should() {
    let plane = Plane::start().await;
    let wrong = json!({ "detail": "Incorrect username or password" });
    assert_eq!(login(&plane, "admin", "another password").await, (401, wrong.clone()));
    assert_eq!(login(&plane, "nobody", "another password").await, (401, wrong));
    let (status, said) =
        ask(&plane, "", "POST", "/api/v1/auth/login", json!({ "password": "x" })).await;
    assert_eq!(status, 422);
    let missing = json!({ "type": "missing", "loc": ["body", "username"], "msg": "Field required", "input": null });
    assert_eq!(said["detail"], json!([missing]));
    let stranger = json!({ "username": "eve@example.org", "password": "long enough" });
    let (status, said) = ask(&plane, "", "POST", "/api/v1/auth/register", stranger).await;
    assert_eq!((status, &said["detail"]), (403, &json!("Registration needs an invitation")));
}

#[tokio::test]
async fn users_are_made_changed_assigned_and_deleted() {
    let plane = Plane::start().await;
    let users = "/api/v1/users";
    let input = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
    let (status, ada) = plane.rest("POST", users, input.clone()).await;
    assert_eq!((status, &ada["role"]), (201, &json!("member")), "{ada}");
    assert!(ada.get("password_hash").is_none() && ada.get("password").is_none());
    let (status, said) = plane.rest("POST", users, input).await;
    assert_eq!((status, &said["detail"]), (400, &json!("Username or email already exists")));
    let (status, said) = plane
        .rest("POST", users, json!({ "username": "b", "email": "no", "password": PASSWORD }))
        .await;
    assert_eq!((status, &said["detail"][0]["loc"]), (422, &json!(["body", "email"])));

    let path = format!("{users}/{}", ada["id"]);
    let (_, token_of_ada) = login(&plane, "ada@example.org", PASSWORD).await;
    let ada_asks = async |method: &str, path: &str| {
        ask(&plane, token(&token_of_ada), method, path, Value::Null).await
    };
    let (status, said) = ada_asks("GET", users).await;
    assert_eq!(status, 403, "{said}");

    // Assigned to the cluster, she sees it; taken off it, no more.
    let service = json!({ "name": "s", "ipFqdn": "127.0.0.1", "port": 80 });
    plane.change("createService", "CreateServiceInput", service).await;
    assert_eq!(ada_asks("GET", "/api/v1/services").await.1["total"], 0);
    let to_cluster = format!("{path}/cluster-assignments");
    let (status, said) = plane.rest("POST", &to_cluster, json!({ "cluster_id": 1 })).await;
    assert_eq!((status, &said["message"]), (201, &json!("User assigned to cluster")), "{said}");
    assert_eq!(ada_asks("GET", "/api/v1/services").await.1["total"], 1);
    let (_, list) = plane.rest("GET", &to_cluster, Value::Null).await;
    assert_eq!(list["cluster_assignments"][0]["role"], "service_owner");
    assert_eq!(plane.rest("DELETE", &format!("{to_cluster}/1"), Value::Null).await.0, 204);
    assert_eq!(ada_asks("GET", "/api/v1/services").await.1["total"], 0);
    let to_service = format!("{path}/service-assignments");
    let viewer = json!({ "service_id": 1, "role": "viewer" });
    assert_eq!(plane.rest("POST", &to_service, viewer).await.0, 201);
    assert_eq!(ada_asks("GET", "/api/v1/services").await.1["services"][0]["name"], "s");
    assert_eq!(plane.rest("DELETE", &format!("{to_service}/1"), Value::Null).await.0, 204);
    assert_eq!(plane.rest("DELETE", &format!("{to_service}/1"), Value::Null).await.0, 404);
    let (status, _) =
        plane.rest("POST", &to_service, json!({ "service_id": 1, "role": "x" })).await;
    assert_eq!(status, 422);

    for (method, change, field, want) in [
        ("PATCH", json!({ "first_name": "Ada" }), "first_name", json!("Ada")),
        ("PUT", json!({ "first_name": null }), "first_name", Value::Null),
        ("PATCH", json!({ "role": "viewer" }), "role", json!("viewer")),
        ("PATCH", json!({ "is_admin": false }), "role", json!("viewer")),
        ("PATCH", json!({ "is_admin": true }), "is_admin", json!(true)),
        ("PATCH", json!({ "is_admin": false }), "role", json!("member")),
    ] {
        let (status, user) = plane.rest(method, &path, change.clone()).await;
        assert_eq!((status, &user[field]), (200, &want), "{change}");
        assert_eq!(user["email"], "ada@example.org");
    }
    assert_eq!(plane.rest("DELETE", &path, Value::Null).await.0, 204);
    let (status, _) = ada_asks("GET", "/api/v1/auth/me").await;
    assert!([401, 403].contains(&status), "{status}");
    assert_eq!(login(&plane, "ada", PASSWORD).await.0, 403);
    let (_, active) = plane.rest("GET", users, Value::Null).await;
    assert_eq!(active["total"], 1);
    let (_, all) = plane.rest("GET", &format!("{users}?active_only=false"), Value::Null).await;
    assert_eq!(all["total"], 2);
    assert_eq!(plane.rest("DELETE", &format!("{path}?permanent=true"), Value::Null).await.0, 204);
    let (status, said) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!((status, &said["detail"]), (404, &json!("User not found")));
    let (status, said) = plane.rest("DELETE", &format!("{users}/1"), Value::Null).await;
    assert_eq!((status, &said["detail"]), (400, &json!("Cannot delete yourself")));
}
