//! Moving in from a first MarchProxy's database, in either of its two schemas.

use std::path::Path;
use std::process::{Command, Output};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Plane, Postgres, SECRET_KEY};

/// What its program made, and what its migrations made, which have no mappings.
const SCHEMAS: [(&str, bool); 2] = [
    (include_str!("upstream/program.sql"), true),
    (include_str!("upstream/migrations.sql"), false),
];

/// SHA-256 of `an old key`.
const KEY_HASH: &str = "encode(sha256('an old key'), 'hex')";

fn rows(has_mappings: bool) -> String {
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["old.example".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let key = key.serialize_pem();
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let upload = if has_mappings { "UPLOAD" } else { "upload" };
    let mappings = if has_mappings {
        "INSERT INTO mappings (id, name, cluster_id, source_services, dest_services, ports, created_by)
         VALUES (4, 'web-to-api', 2, '5', '6', '80,443', 1);"
    } else {
        ""
    };
    format!(
        "INSERT INTO auth_user (id, email, username, password_hash, is_admin) VALUES
           (7, 'admin@example.org', 'admin', '{hash}', true),
           (8, 'ops@example.org', 'ops', '{hash}', false),
           (1, 'not an address', 'bad user', '{hash}', false);
         INSERT INTO clusters (id, name, api_key_hash, is_default, created_by) VALUES
           (2, 'default', {KEY_HASH}, true, 7), (3, 'blue', 'x', false, 7);
         INSERT INTO services (id, name, ip_fqdn, port, protocol, cluster_id, auth_type, jwt_secret,
             created_by) VALUES
           (5, 'web', 'web.internal', 80, 'http', 2, 'none', NULL, 7),
           (6, 'api', '10.0.0.6', 8080, 'tcp', 2, 'jwt', 'an old secret of thirty-two letters', 7),
           (9, 'broken', 'no host', 80, 'http', 2, 'none', NULL, 7);
         INSERT INTO user_cluster_assignments (user_id, cluster_id, role, assigned_by) VALUES
           (8, 2, 'service_owner', 7);
         INSERT INTO proxy_servers (id, name, hostname, ip_address, cluster_id, status) VALUES
           (11, 'edge-1', 'edge-1.internal', '10.0.0.11', 2, 'active');
         INSERT INTO certificates (id, name, cert_data, key_data, source_type, valid_until,
             created_by) VALUES
           (13, 'old-tls', '{pem}', '{key}', '{upload}', now(), 7),
           (14, 'mixed-up', '{pem}', '{other}', '{upload}', now(), 7);
         {mappings}"
    )
}

/// Runs the command, for a target of its own.
fn import(dir: &Path, from: &str, to: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_marchproxy"))
        .arg("import")
        .args(["--from", from])
        .args(arguments)
        .env_clear()
        .env("DATA_DIR", dir)
        .env("DATABASE_URL", to)
        .env("SECRET_KEY", SECRET_KEY)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let [said, wrong] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{said}{wrong}")
}

#[tokio::test]
async fn a_database_of_either_schema_is_taken_over() {
    let postgres = Postgres::shared().await;
    for (schema, has_mappings) in SCHEMAS {
        let old = postgres.database().await;
        let name = old.rsplit('/').next().unwrap();
        postgres.run(name, schema).await;
        postgres.run(name, &rows(has_mappings)).await;
        for is_postgres in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let to = if is_postgres {
                postgres.database().await
            } else {
                format!("sqlite://{}/db", dir.path().display())
            };
            let tried = import(dir.path(), &old, &to, &[]);
            assert!(tried.status.success(), "{}", said(&tried));
            assert!(said(&tried).contains("bad user"), "{}", said(&tried));
            for left_out in ["broken", "mixed-up"] {
                assert!(said(&tried).contains(left_out), "{}", said(&tried));
            }
            if !is_postgres {
                assert!(!dir.path().join("db").exists(), "it was only said what would be done");
            }
            let done = import(dir.path(), &old, &to, &["--apply"]);
            assert!(done.status.success(), "{}", said(&done));
            for secret in ["an old secret", "$2b$", "an old key", "PRIVATE KEY"] {
                assert!(!said(&done).contains(secret), "{secret}");
            }
            let again = import(dir.path(), &old, &to, &["--apply"]);
            assert!(!again.status.success(), "{}", said(&again));
            goes_on(to, has_mappings).await;
        }
    }
}

/// What clients find after the import: they are known by what they had.
async fn goes_on(database: String, has_mappings: bool) {
    // Signs in as the old administrator, by the old password.
    let plane = Plane::start_as_it_is(vec![("DATABASE_URL", database)]).await;
    let (status, services) = plane.rest("GET", "/api/v1/services", Value::Null).await;
    assert_eq!((status, &services["total"]), (200, &json!(2)), "{services}");
    let (_, web) = plane.rest("GET", "/api/v1/services/5", Value::Null).await;
    assert_eq!((&web["name"], &web["ip_fqdn"]), (&json!("web"), &json!("web.internal")));
    let (_, users) = plane.rest("GET", "/api/v1/users", Value::Null).await;
    assert_eq!(users["total"], 3, "without its bad address, one is taken all the same: {users}");
    let (_, proxy) = plane.rest("GET", "/api/v1/proxies/11", Value::Null).await;
    assert_eq!(proxy["name"], "edge-1", "{proxy}");
    let (_, mappings) = plane.rest("GET", "/api/v1/mappings", Value::Null).await;
    assert_eq!(mappings["total"], i32::from(has_mappings), "{mappings}");

    let (_, certificate) = plane.rest("GET", "/api/v1/certificates/13", Value::Null).await;
    assert_eq!(certificate["name"], "old-tls", "{certificate}");
    let (_, certificates) = plane.rest("GET", "/api/v1/certificates", Value::Null).await;
    assert_eq!(certificates.as_array().unwrap().len(), 1, "{certificates}");

    // The audit log says what was done, before anybody signed in.
    let query = "{ auditEntries(first: 200) { nodes {
        operation via edge username summary after noun } } }";
    let entries = plane.ask(query, json!({})).await.data()["auditEntries"]["nodes"].clone();
    let first = entries.as_array().unwrap().last().unwrap();
    let mappings = i32::from(has_mappings);
    let after = json!({ "users": 3, "clusters": 2, "services": 2, "mappings": mappings,
        "proxies": 1, "certificates": 1, "cluster assignments": 1, "service assignments": 0 });
    assert_eq!(first["operation"], "Import", "{entries}");
    assert_eq!((&first["via"], &first["edge"]), (&json!("import"), &json!("command")));
    assert_eq!((&first["username"], &first["noun"]), (&Value::Null, &Value::Null));
    assert_eq!(first["after"], after);
    let summary = first["summary"].as_str().unwrap();
    assert!(summary.starts_with("imported 3 users, 2 clusters, 2 services, "), "{summary}");
    assert!(!summary.contains(" 0 service assignments"), "{summary}");

    // A token of before, which names its user by number alone.
    let exp = chrono::Utc::now().timestamp() + 600;
    let claims = json!({ "sub": "7", "type": "access", "exp": exp });
    let key = EncodingKey::from_secret(SECRET_KEY.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    let me = plane.http_request("GET", "/api/v1/auth/me").bearer_auth(token).send().await.unwrap();
    assert_eq!(me.status(), 200);
    assert_eq!(me.json::<Value>().await.unwrap()["username"], "admin");

    // A cluster's key of before.
    let config = plane.http_request("GET", "/api/v1/config/2");
    let config = config.header("cluster-api-key", "an old key").send().await.unwrap();
    assert_eq!(config.status(), 200);
    let config = config.json::<Value>().await.unwrap();
    let services = config["services"].as_array().unwrap();
    let api = services.iter().find(|service| service["name"] == "api").unwrap();
    assert_eq!(api["auth"]["jwt"]["secret"], "an old secret of thirty-two letters");

    // New ids come after the old ones.
    let new = json!({ "name": "new", "ip_fqdn": "10.0.0.9", "port": 80, "cluster_id": 2 });
    let (status, new) = plane.rest("POST", "/api/v1/services", new).await;
    assert_eq!(status, 201, "{new}");
    assert!(new["id"].as_i64().unwrap() > 6, "{new}");
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = format!("sqlite://{}/db", dir.path().display());
    for from in [
        "postgresql://nobody:secret-word@127.0.0.1:1/nothing",
        "sqlite:///somewhere.db",
        "nonsense",
    ] {
        let refused = import(dir.path(), from, &to, &["--apply"]);
        assert!(!refused.status.success(), "{from}");
        assert!(said(&refused).contains("--from"), "{from}: {}", said(&refused));
        assert!(!said(&refused).contains("secret-word"), "{from}: {}", said(&refused));
        assert!(!dir.path().join("db").exists(), "{from}");
    }
}
