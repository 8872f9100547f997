//! The document's two tables of variables: each is honoured, and a value that cannot
//! be is refused at the start by the variable's name.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Plane, Redis, eventually, free_port};

/// A row of the tables: the variable, the default that `marchproxy config` shows, and
/// values that must be refused.
type Row = (&'static str, &'static str, &'static [&'static str]);

const ROWS: [Row; 10] = [
    // Required there; here the embedded database, and a key that is made up.
    ("DATABASE_URL", "", &["mysql://user:pass@host/db", "postgresql://", "host:5432", ""]),
    ("SECRET_KEY", "", &[""]),
    // Optional.
    ("DEBUG", "false", &["perhaps", "2"]),
    ("PORT", "8000", &["0", "65536", "http", ""]),
    ("WORKERS", "4", &["0", "-1", "many"]),
    ("XDS_GRPC_PORT", "18000", &["0", "65536", "grpc"]),
    ("XDS_SERVER_URL", "http://localhost:19000", &["localhost:19000", "ftp://a", "http://", ""]),
    // `redis://redis:6379/0` there; here nobody is asked where one instance needs none.
    ("REDIS_URL", "", &["http://redis:6379", "redis:6379", ""]),
    ("LICENSE_KEY", "", &["two words", "PENG\u{e9}"]),
    ("RELEASE_MODE", "false", &["perhaps", "2"]),
];

fn marchproxy(command: &str) -> Command {
    let mut marchproxy = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    marchproxy.arg(command).env_clear();
    marchproxy
}

#[test]
fn each_variable_has_the_default_of_its_row() {
    let output = marchproxy("config").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for (variable, default, _) in ROWS {
        let line = shown.lines().find_map(|line| line.strip_prefix(&format!("{variable}=")));
        let value = line.and_then(|line| line.strip_suffix("# default")).map(str::trim);
        assert_eq!(value, Some(default), "{variable}: {shown}");
    }
}

#[test]
fn each_variable_refuses_what_it_cannot_be() {
    for (variable, _, refused) in ROWS {
        for value in refused {
            let dir = tempfile::tempdir().unwrap();
            let ports = ["PORT", "XDS_GRPC_PORT", "XDS_HTTP_PORT"];
            let ports = ports.map(|name| (name, free_port().to_string()));
            let mut serve = marchproxy("serve");
            serve.env("DATA_DIR", dir.path()).envs(ports).env(variable, value);
            // Whatever is taken by mistake must not serve for ever.
            let mut serve = tokio::process::Command::from(serve);
            let output = tokio::runtime::Runtime::new().unwrap().block_on(async {
                let output = serve.kill_on_drop(true).output();
                tokio::time::timeout(crate::support::LIMIT, output).await
            });
            let output = output.unwrap_or_else(|_| panic!("{variable}={value:?} was taken"));
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{variable}={value:?} was taken");
            assert!(said.contains(variable), "{variable}={value:?}: {said}");
        }
    }
}

#[tokio::test]
async fn each_optional_variable_is_honoured() {
    const WORKERS: usize = 40;
    let redis = Redis::start().await;
    // PORT, XDS_GRPC_PORT and SECRET_KEY are set for every plane of these tests, which
    // would not find it otherwise; DATABASE_URL is in `databases`, LICENSE_KEY in `licence`.
    let plane = Plane::start_with(vec![
        ("DEBUG", "true".to_owned()),
        ("WORKERS", WORKERS.to_string()),
        ("XDS_SERVER_URL", "http://xds.example:19001".to_owned()),
        ("REDIS_URL", redis.url()),
        ("LICENSE_KEY", String::new()),
        ("RELEASE_MODE", "true".to_owned()),
    ])
    .await;
    let (status, stats) = plane.rest("GET", "/xds/stats", Value::Null).await;
    assert_eq!((status, &stats["xds_server_url"]), (200, &json!("http://xds.example:19001")));
    eventually("Redis is used, and more is logged", async || {
        let log = plane.log();
        let good = log.contains("in touch with the other instances") && log.contains("DEBUG");
        if good { Ok(()) } else { Err(log) }
    })
    .await;
    let tasks = std::fs::read_dir(format!("/proc/{}/task", plane.pid())).unwrap();
    let workers = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim() == "tokio-rt-worker")
    });
    assert!(workers.count() >= WORKERS);
    let second = json!({ "name": "second" });
    let (status, said) = plane.rest("POST", "/api/v1/clusters", second).await;
    assert_eq!(status, 402, "{said}");
    let text =
        "Community tier limited to 1 cluster. Upgrade to Enterprise for multi-cluster support.";
    assert_eq!(said["detail"], text);
}

/// `postgresql+asyncpg://`, as the table has it, and `postgresql://`, as the example
/// does: what follows is the same.
#[tokio::test]
async fn the_database_is_named_in_either_way() {
    let url = crate::support::Postgres::shared().await.database().await;
    let driven = url.replacen("postgresql://", "postgresql+asyncpg://", 1);
    let cluster = async |plane: &Plane| {
        let (status, list) = plane.rest("GET", "/api/v1/services", Value::Null).await;
        (status, list["total"].clone())
    };
    let mut plane = Plane::start_with(vec![("DATABASE_URL", driven)]).await;
    let input = json!({ "name": "kept", "ip_fqdn": "a.example", "port": 80, "cluster_id": 1 });
    let (status, made) = plane.rest("POST", "/api/v1/services", input).await;
    assert_eq!(status, 201, "{made}");
    plane.kill();
    let plane = Plane::start_with(vec![("DATABASE_URL", url)]).await;
    assert_eq!(cluster(&plane).await, (200, json!(1)));
}
