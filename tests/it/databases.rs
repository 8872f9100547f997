//! Both databases: what holds on each, and what can befall a server.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use marchproxy::app::{FirstAdmin, Retention, Setup};
use marchproxy::auth::Sealer;
use marchproxy::error::{Error, Result};
use marchproxy::model::{NodeGroupId, NodeGroupSpec};
use marchproxy::store::Store;
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Authority, Envoy, Kind, Plane, Postgres, Protocol, TakenPort, Traffic};
use crate::support::{Upstream, eventually, free_port};

/// Nothing waits for longer, whatever the database does.
const LONGEST: Duration = Duration::from_secs(10);

async fn open(url: &str) -> Store {
    Store::open(&url.parse().unwrap()).await.unwrap()
}

async fn insert_group(store: &Store, name: &str) -> Result<NodeGroupId> {
    let name = name.to_owned().try_into().unwrap();
    let spec = NodeGroupSpec::named(name);
    let tx = store.write().await?;
    let group = tx.insert_node_group(&spec, false, None, chrono::DateTime::UNIX_EPOCH).await?.id;
    tx.commit().await?;
    Ok(group)
}

/// Adds one to a group's revision; what it is then.
async fn bump(store: &Store, group: NodeGroupId) -> Result<i64> {
    let tx = store.write().await?;
    let revision = tx.bump_revision(group).await?.into();
    tx.commit().await?;
    Ok(revision)
}

/// Every column of every table, and every migration with its time.
async fn schema(kind: Kind, url: &str) -> Vec<String> {
    let db = Database::connect(url).await.unwrap();
    let columns = match kind {
        Kind::Sqlite => "SELECT sql AS line FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
        Kind::Postgres => {
            "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable) AS line
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    let migrations = "SELECT version || ' ' || applied_at AS line FROM seaql_migrations ORDER BY 1";
    let mut lines = vec![];
    for sql in [columns, migrations] {
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
        lines.extend(rows.unwrap().iter().map(|row| row.try_get::<String>("", "line").unwrap()));
    }
    db.close().await.unwrap();
    lines
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("the database is away");
    assert!(matches!(error, Error::Unavailable { what: "the database", .. }), "{error:?}");
}

#[tokio::test]
async fn migrations_start_from_empty_and_do_nothing_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let url = kind.database(dir.path()).await;
        open(&url).await.close().await.unwrap();
        let first = schema(kind, &url).await;
        assert!(first.iter().any(|line| line.contains("node_group")), "{kind:?}: {first:#?}");
        open(&url).await.close().await.unwrap();
        assert_eq!(schema(kind, &url).await, first, "{kind:?}");
    }
}

#[tokio::test]
async fn instances_that_start_together_set_up_once() {
    let url = Kind::Postgres.database(Path::new("")).await;
    let starts = (0..4).map(|_| async {
        let store = open(&url).await;
        let username = "admin".to_owned().try_into().unwrap();
        let retention = Retention::from(NonZeroU32::new(10).unwrap());
        let sealer = Sealer::new(&"secret".to_owned().into());
        let admin = FirstAdmin { username, password: None };
        Setup::run(&store, admin, retention, &sealer).await.unwrap()
    });
    let setups = join_all(starts).await;
    assert!(setups.iter().all(|setup| setup.default_group == setups[0].default_group));
    assert_eq!(setups.iter().filter(|setup| setup.made_up.is_some()).count(), 1);
}

#[tokio::test]
async fn a_name_that_is_taken_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let store = open(&kind.database(dir.path()).await).await;
        insert_group(&store, "blue").await.unwrap();
        let again = insert_group(&store, "blue").await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{kind:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_read_sees_one_state_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let store = open(&kind.database(dir.path()).await).await;
        let group = insert_group(&store, "blue").await.unwrap();
        let reading = store.read().await.unwrap();
        let before = reading.revisions().await.unwrap();
        bump(&store, group).await.unwrap();
        assert_eq!(reading.revisions().await.unwrap(), before, "{kind:?}");
        assert!(reading.bump_revision(group).await.is_err(), "{kind:?}");
        let after = store.read().await.unwrap().revisions().await.unwrap();
        assert_ne!(after, before, "{kind:?}");
    }
}

#[tokio::test]
async fn changes_of_one_group_queue_and_those_of_another_do_not() {
    let store = open(&Kind::Postgres.database(Path::new("")).await).await;
    let one = insert_group(&store, "one").await.unwrap();
    let other = insert_group(&store, "other").await.unwrap();
    let first = store.write().await.unwrap();
    let revision: i64 = first.bump_revision(one).await.unwrap().into();
    bump(&store, other).await.unwrap();
    let mut second = Box::pin(bump(&store, one));
    let early = timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "it did not wait: {early:?}");
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), revision + 1);
}

#[tokio::test]
async fn of_two_that_wait_for_each_other_one_is_told_to_come_again() {
    let store = open(&Kind::Postgres.database(Path::new("")).await).await;
    let one = insert_group(&store, "one").await.unwrap();
    let other = insert_group(&store, "other").await.unwrap();
    let (a, b) = (store.write().await.unwrap(), store.write().await.unwrap());
    a.bump_revision(one).await.unwrap();
    b.bump_revision(other).await.unwrap();
    let (a, b) = tokio::join!(async move { a.bump_revision(other).await }, async move {
        b.bump_revision(one).await
    },);
    let (failed, passed): (Vec<_>, Vec<_>) = [a, b].into_iter().partition(Result::is_err);
    assert_eq!((failed.len(), passed.len()), (1, 1), "{failed:?}");
    assert_unavailable(failed.into_iter().next().unwrap());
}

#[tokio::test]
async fn a_server_that_goes_is_unavailable_within_10_s_and_used_again_when_it_is_back() {
    let server = Postgres::start().await;
    let store = open(&server.database().await).await;
    let group = insert_group(&store, "blue").await.unwrap();

    let tx = store.write().await.unwrap();
    tx.bump_revision(group).await.unwrap();
    server.freeze().await;
    let began = Instant::now();
    let (under_way, new) = tokio::join!(tx.bump_revision(group), store.read());
    assert_unavailable(under_way);
    assert_unavailable(new);
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    drop(tx);
    server.thaw().await;
    assert_eq!(bump(&store, group).await.unwrap(), 1, "what was given up was not kept");

    let tx = store.write().await.unwrap();
    tx.bump_revision(group).await.unwrap();
    server.stop().await;
    let began = Instant::now();
    assert_unavailable(tx.commit().await);
    assert_unavailable(store.read().await);
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    server.start_again().await;
    assert_eq!(bump(&store, group).await.unwrap(), 2);
}

#[tokio::test]
async fn connections_are_secured_as_sslmode_says() {
    let dir = tempfile::tempdir().unwrap();
    let (server, authority) = (Postgres::start().await, Authority::new());
    let pair = authority.server();
    for (file, pem) in [("server.key", pair.key), ("server.crt", pair.certificate)] {
        let write = format!(
            "COPY (SELECT unnest(string_to_array('{pem}', E'\\n')))
             TO PROGRAM 'umask 077; cat > {file}'"
        );
        server.run("postgres", &write).await;
    }
    server.run("postgres", "ALTER SYSTEM SET ssl = on").await;
    server.stop().await;
    server.start_again().await;

    let url = server.database().await;
    let secured = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'marchproxy' AND ssl";
    for (name, authority) in [("ours", &authority), ("theirs", &Authority::new())] {
        let path = dir.path().join(name);
        std::fs::write(&path, &authority.pem).unwrap();
        let url = format!("{url}?sslmode=verify-full&sslrootcert={}", path.display());
        let opened = Store::open(&url.parse().unwrap()).await;
        assert_eq!(opened.is_ok(), name == "ours", "{name}: {opened:?}");
        if let Ok(store) = opened {
            let tx = store.read().await.unwrap();
            assert_eq!(server.count(secured).await, 1);
            drop(tx);
            store.close().await.unwrap();
        }
    }
    let store = open(&format!("{url}?sslmode=disable")).await;
    let _tx = store.read().await.unwrap();
    assert_eq!(server.count(secured).await, 0);
}

#[tokio::test]
async fn a_start_without_its_database_fails_within_10_s_and_names_the_variable() {
    let silent = TakenPort::new(); // takes connections, and never says a word
    let good = Kind::Postgres.database(Path::new("")).await;
    let urls = [
        format!("postgresql://u:hunter2@127.0.0.1:{}/d", free_port()),
        format!("postgresql://u:hunter2@127.0.0.1:{}/d", silent.port()),
        good.replace("tester:", "tester:hunter2"),
        "postgresql://u:hunter2@127.0.0.1/d?sslmode=perhaps".to_owned(),
        "mysql://u:hunter2@127.0.0.1/d".to_owned(),
    ];
    join_all(urls.map(async |url| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_marchproxy"));
        command.arg("serve").env_clear().env("DATA_DIR", dir.path()).env("DATABASE_URL", &url);
        command.envs(
            ["PORT", "XDS_GRPC_PORT", "XDS_HTTP_PORT"].map(|name| (name, free_port().to_string())),
        );
        let output = timeout(LONGEST, command.kill_on_drop(true).output()).await;
        let output = output.unwrap_or_else(|_| panic!("{url}: goes on")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{url}: {said}");
        assert!(said.contains("DATABASE_URL"), "{url}: {said}");
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }))
    .await;
}

#[tokio::test]
async fn an_outage_of_the_database_is_told_and_got_over() {
    let server = Postgres::start().await;
    let plane = Plane::start_with(vec![("DATABASE_URL", server.database().await)]).await;
    let upstream = Upstream::start("one").await;
    let _envoy = Envoy::start(&plane, Protocol::Delta).await;
    plane.create_service("one", upstream.port()).await;

    server.stop().await;
    let began = Instant::now();
    let create =
        "mutation($input: CreateServiceInput!) { createService(input: $input) { revision } }";
    let input = json!({ "input": { "name": "never", "ipFqdn": "127.0.0.1", "port": 9 } });
    let answer = plane.ask(create, input).await;
    assert_eq!(answer.error()["extensions"]["code"], "UNAVAILABLE", "{answer:?}");
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    let url = format!("http://127.0.0.1:{}/healthz", plane.http_port());
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 503);
    assert_eq!(Traffic::get(plane.listener, "one", "/").await.as_deref(), Ok("one"));

    server.start_again().await;
    eventually("the server is healthy", async || {
        let status = reqwest::get(&url).await.map_err(|e| e.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    plane.create_service("two", upstream.port()).await;
    assert_eq!(Traffic::get(plane.listener, "two", "/").await.as_deref(), Ok("one"));
    let services = plane.state().await["services"]["nodes"].clone();
    let names = services.as_array().unwrap().iter().map(|service| &service["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two"]);
}
