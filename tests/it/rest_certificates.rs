//! Certificates over REST, over the internal API, and in the proxies' configuration.

use serde_json::{Value, json};

use crate::support::{Authority, Mood, Pair, Plane, Stores};

const CERTIFICATES: &str = "/api/v1/certificates";

fn upload(name: &str, pair: &Pair) -> Value {
    json!({
        "name": name, "source_type": "upload", "cert_data": pair.certificate,
        "key_data": pair.key,
    })
}

#[tokio::test]
async fn a_certificate_is_uploaded_shown_changed_and_deleted() {
    let (plane, authority) = (Plane::start().await, Authority::new());
    let pair = authority.sign_for_days("a.example", 20);
    let mut input = upload("web", &pair);
    input["ca_chain"] = json!(authority.pem);
    input["auto_renew"] = json!(true);
    let (status, made) = plane.rest("POST", CERTIFICATES, input.clone()).await;
    assert_eq!(status, 201, "{made}");
    for (field, want) in [
        ("id", json!(1)),
        ("name", json!("web")),
        ("cluster_id", json!(1)),
        ("description", Value::Null),
        ("source_type", json!("upload")),
        ("common_name", json!("a.example")),
        ("auto_renew", json!(true)),
        ("renew_before_days", json!(30)),
        ("is_active", json!(true)),
        ("is_expired", json!(false)),
        ("needs_renewal", json!(true)),
        ("last_renewal", Value::Null),
        ("renewal_error", Value::Null),
        ("created_by", json!(1)),
    ] {
        assert_eq!(made[field], want, "{field}");
    }
    let days = made["days_until_expiry"].as_i64().unwrap();
    assert!((18..=20).contains(&days), "{days}");
    let (status, list) = plane.rest("GET", CERTIFICATES, Value::Null).await;
    assert_eq!((status, &list), (200, &json!([made])), "a bare array");

    let path = format!("{CERTIFICATES}/1");
    let (status, one) = plane.rest("GET", &path, Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(one["subject_alt_names"], json!(["a.example"]));
    assert_eq!(one["cert_data"], json!(pair.certificate.trim()));
    assert_eq!(one["ca_chain"], json!(authority.pem.trim()));
    assert!(one.get("key_data").is_none() && !one.to_string().contains(pair.secret()));

    for (method, change, field, want) in [
        ("PUT", json!({ "description": "d" }), "description", json!("d")),
        ("PUT", json!({ "auto_renew": false }), "needs_renewal", json!(false)),
        ("PATCH", json!({ "renew_before_days": 7 }), "renew_before_days", json!(7)),
        ("PUT", json!({ "is_active": false }), "is_active", json!(false)),
    ] {
        let (status, changed) = plane.rest(method, &path, change.clone()).await;
        assert_eq!((status, &changed[field]), (200, &want), "{method} {change}: {changed}");
    }
    let count = async |query: &str| {
        let (status, list) =
            plane.rest("GET", &format!("{CERTIFICATES}{query}"), Value::Null).await;
        (status, list.as_array().map(Vec::len))
    };
    assert_eq!(count("").await, (200, Some(0)), "it is switched off");
    assert_eq!(count("?include_expired=true").await, (200, Some(1)));
    assert_eq!(count("?include_expired=true&source_type=vault").await, (200, Some(0)));
    assert_eq!(count("?include_expired=true&skip=1").await, (200, Some(0)));
    for wrong in ["?source_type=x", "?limit=0", "?skip=-1", "/expiring/list?days=366"] {
        assert_eq!(count(wrong).await, (422, None), "{wrong}");
    }
    plane.rest("PUT", &path, json!({ "is_active": true })).await;
    assert_eq!(count("/expiring/list").await, (200, Some(1)));
    assert_eq!(count("/expiring/list?days=5").await, (200, Some(0)));

    let (status, renewed) = plane.rest("POST", &format!("{path}/renew"), Value::Null).await;
    assert_eq!((status, &renewed["renewed"]), (200, &json!(false)), "{renewed}");
    assert!(renewed["error"].as_str().unwrap().contains("upload another one"), "{renewed}");
    assert_eq!(plane.rest("DELETE", &path, Value::Null).await.0, 204);
    let gone = json!({ "detail": "Certificate not found" });
    assert_eq!(plane.rest("GET", &path, Value::Null).await, (404, gone.clone()));
    assert_eq!(plane.rest("POST", &format!("{path}/renew"), Value::Null).await, (404, gone));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_says_why() {
    let (plane, authority) = (Plane::start().await, Authority::new());
    let (pair, other) =
        (authority.sign_for_days("a.example", 20), authority.sign_for_days("a.example", 20));
    let but = |change: Value| {
        let mut input = upload("web", &pair);
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        input
    };
    for (change, status, why) in [
        (json!({ "cert_data": null }), 400, "cert_data is required"),
        (json!({ "key_data": "" }), 400, "key_data is required"),
        (json!({ "cert_data": "x" }), 400, "Invalid certificate: cert_data: must hold"),
        (json!({ "cert_data": other.key }), 400, "Invalid certificate: cert_data: must not hold"),
        (json!({ "key_data": other.key }), 400, "Invalid certificate: key_data: is not the key"),
        (json!({ "source_type": "infisical" }), 400, "infisical_secret_path is required"),
        (json!({ "source_type": "vault" }), 400, "vault_path is required"),
        (json!({ "source_type": "vault", "vault_role": "r" }), 400, "vault_common_name is"),
        (json!({ "source_type": "vault", "vault_path": "a" }), 400, "Vault is not set up"),
        (json!({ "cluster_id": 9 }), 404, "Cluster not found"),
    ] {
        let (got, answer) = plane.rest("POST", CERTIFICATES, but(change.clone())).await;
        assert_eq!(got, status, "{answer}");
        assert!(answer["detail"].as_str().unwrap().starts_with(why), "{answer}");
        assert!(!answer.to_string().contains(other.secret()), "{answer}");
    }
    for (change, field) in [
        (json!({ "name": "a b" }), "name"),
        (json!({ "source_type": "x" }), "source_type"),
        (json!({ "renew_before_days": 91 }), "renew_before_days"),
        (json!({ "cluster_id": 0 }), "cluster_id"),
        (json!({ "source_type": "vault", "vault_path": "../x" }), "vault_path"),
    ] {
        let (status, answer) = plane.rest("POST", CERTIFICATES, but(change.clone())).await;
        let loc = json!(["body", field]);
        assert_eq!((status, &answer["detail"][0]["loc"]), (422, &loc), "{change}: {answer}");
    }
    assert_eq!(plane.rest("POST", CERTIFICATES, but(json!({}))).await.0, 201);
    let taken = plane.rest("POST", CERTIFICATES, but(json!({}))).await;
    let said = json!({ "detail": "Certificate with name 'web' already exists" });
    assert_eq!(taken, (400, said));
}

#[tokio::test]
async fn certificates_are_fetched_and_many_are_renewed() {
    let (stores, authority) = (Stores::start().await, Authority::new());
    let (old, new) =
        (authority.sign_for_days("a.example", 10), authority.sign_for_days("a.example", 300));
    stores.put(&old, &authority.pem);
    let plane = Plane::start_with(stores.settings()).await;
    let infisical = json!({
        "name": "i", "source_type": "infisical", "infisical_secret_path": "/tls/web",
        "infisical_project_id": "p-1",
    });
    let vault = json!({ "name": "v", "source_type": "vault", "vault_path": "secret/tls/web" });
    let pki = json!({
        "name": "p", "source_type": "vault", "vault_path": "pki", "vault_role": "web",
        "vault_common_name": "a.example",
    });
    for input in [infisical, vault, pki, upload("u", &old)] {
        let (status, made) = plane.rest("POST", CERTIFICATES, input).await;
        assert_eq!(status, 201, "{made}");
    }
    let (_, one) = plane.rest("GET", &format!("{CERTIFICATES}/1"), Value::Null).await;
    assert_eq!(one["infisical_environment"], "production");
    stores.be(Mood::Broken);
    let renew = format!("{CERTIFICATES}/2/renew");
    let (status, failed) = plane.rest("POST", &renew, Value::Null).await;
    assert_eq!((status, &failed["renewed"]), (200, &json!(false)), "{failed}");
    assert_eq!(failed["error"], "Vault is not available now; try again later");
    let away = json!({ "name": "x", "source_type": "vault", "vault_path": "secret/tls/web" });
    assert_eq!(plane.rest("POST", CERTIFICATES, away.clone()).await.0, 503);
    stores.be(Mood::Locked);
    assert_eq!(plane.rest("POST", CERTIFICATES, away).await.0, 502);

    stores.be(Mood::Well);
    stores.put(&new, &authority.pem);
    let (status, renewed) = plane.rest("POST", &renew, Value::Null).await;
    assert_eq!((status, &renewed["renewed"]), (200, &json!(true)), "{renewed}");
    let many = format!("{CERTIFICATES}/batch-renew?days=30");
    let (status, batch) = plane.rest("POST", &many, Value::Null).await;
    assert_eq!(status, 200);
    let counts = ["total", "renewed", "failed", "skipped"].map(|field| batch[field].clone());
    assert_eq!(counts, [json!(3), json!(2), json!(0), json!(1)], "{batch}");
    let skipped = batch["details"].as_array().unwrap().iter().find(|d| d["name"] == "u").unwrap();
    assert_eq!(skipped["status"], "skipped");
    let (_, batch) = plane.rest("POST", &many, Value::Null).await;
    assert_eq!(batch["total"], 1, "the others are good for long: {batch}");
}

#[tokio::test]
async fn proxies_are_told_of_certificates_and_their_configuration_changes() {
    let (plane, authority) = (Plane::start().await, Authority::new());
    let pair = authority.sign_for_days("a.example", 20);
    let rotate = "/api/v1/clusters/1/rotate-api-key";
    let (_, rotated) = plane.rest("POST", rotate, Value::Null).await;
    let key = rotated["new_api_key"].as_str().unwrap().to_owned();
    let config = async |query: &str| -> Value {
        let request = plane.http_request("GET", &format!("/api/v1/config/{query}"));
        request.header("cluster-api-key", &key).send().await.unwrap().json().await.unwrap()
    };
    let before = config("1").await;
    assert_eq!(before["certificates"], json!({}));
    plane.rest("POST", CERTIFICATES, upload("web", &pair)).await;
    let after = config("1").await;
    let web = &after["certificates"]["web"];
    assert_eq!((&web["id"], &web["common_name"]), (&json!(1), &json!("a.example")));
    assert_eq!(web["cert"], json!(pair.certificate.trim()));
    assert_eq!(web["subject_alt_names"], json!(["a.example"]));
    assert!(!after.to_string().contains(pair.secret()));
    assert_ne!(after["config_version"], before["config_version"]);
    let without = config("1?include_certificates=false").await;
    assert_eq!(without["certificates"], Value::Null);
    assert_eq!(without["config_version"], after["config_version"]);
    assert_eq!(config("version/1").await["config_version"], after["config_version"]);
    assert_eq!(config("validate/1").await["stats"]["certificates"], 1);
}

#[tokio::test]
async fn a_posted_configuration_brings_certificates() {
    let (plane, authority) = (Plane::start().await, Authority::new());
    let (one, two) =
        (authority.sign_for_days("a.example", 20), authority.sign_for_days("a.example", 40));
    let post = async |certificates: Value| {
        let url = format!("http://127.0.0.1:{}/v1/config", plane.internal_port());
        let body = json!({ "services": [], "routes": [], "certificates": certificates });
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let posted = |pair: &Pair| {
        json!([{
            "name": "web", "cert_chain": pair.certificate, "private_key": pair.key,
            "ca_cert": authority.pem, "require_client": false,
        }])
    };
    let listed = async || plane.rest("GET", CERTIFICATES, Value::Null).await.1;
    assert_eq!(post(posted(&one)).await.0, 200);
    let first = listed().await;
    assert_eq!((&first[0]["name"], &first[0]["id"]), (&json!("web"), &json!(1)), "{first}");
    assert_eq!(post(posted(&two)).await.0, 200);
    let second = listed().await;
    assert_eq!((second.as_array().unwrap().len(), &second[0]["id"]), (1, &json!(1)));
    assert_ne!(second[0]["valid_until"], first[0]["valid_until"]);
    // What is not posted stays: a key that is gone does not come back.
    assert_eq!(post(Value::Null).await.0, 200);
    assert_eq!(listed().await, second);
    let mixed = Pair { certificate: one.certificate.clone(), key: two.key.clone() };
    let (status, why) = post(posted(&mixed)).await;
    assert_eq!(status, 400);
    let want = "Invalid configuration: certificates.0.private_key: is not the key";
    assert!(why.starts_with(want), "{why}");
    assert!(!why.contains(two.secret()) && !plane.log().contains(two.secret()));
    assert_eq!(listed().await, second);
}
