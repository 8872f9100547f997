//! What history keeps of each change, for how long, and what it costs.

use std::time::Instant;

use super::testing::{admin, app_that_keeps, open};
use super::*;
use crate::auth::NodeAuth;
use crate::compile::compile;
use crate::history;
use crate::model::{
    ItemKind, Name, NodeGroupSpec, Noun, Revision, ServiceChange, ServiceSpec, Which,
};

pub(super) fn service(name: &str, port: i32) -> ServiceSpec {
    let spec = serde_json::json!({
        "name": name, "protocol": { "http": "http1" },
        "endpoints": [{ "host": "127.0.0.1", "port": port, "weight": 1 }],
        "load_balancing": "round_robin",
        "timeouts": { "connect": 5000, "request": 15000, "idle": 3_600_000 },
        "health_check": null, "tls": null,
    });
    serde_json::from_value(spec).unwrap()
}

pub(super) fn name(name: &str) -> Name {
    Name::try_from(name.to_owned()).unwrap()
}

pub(super) async fn create(app: &App, port: i32) -> crate::model::ServiceId {
    let spec = service(&format!("s{port}"), port);
    let new = NewService { group: None, spec };
    app.create_service(&admin(), new).await.unwrap().0.service.id
}

pub(super) async fn change(app: &App, id: crate::model::ServiceId, port: i32) -> Change {
    let change = ServiceChange { port: Some(port.try_into().unwrap()), ..Default::default() };
    app.update_service(&admin(), id, change).await.unwrap().1
}

/// What a revision of the default group is made of, as far as history keeps it.
async fn kept(app: &App, revision: Revision, which: Which) -> Vec<crate::model::Item> {
    let tx = app.0.store.read().await.unwrap();
    tx.items(app.default_group(), revision, which).await.unwrap()
}

#[tokio::test]
async fn each_revision_has_what_it_was_compiled_of_and_what_it_came_to() {
    let (app, _, _dir) = app_that_keeps(100).await;
    let id = create(&app, 80).await;
    let one = change(&app, id, 81).await;
    let two = change(&app, id, 82).await;
    for which in [Which::Desired, Which::Resources] {
        let (one, two) =
            (kept(&app, one.revision, which).await, kept(&app, two.revision, which).await);
        let changed: Vec<_> = one.iter().zip(&two).filter(|(a, b)| a != b).collect();
        assert_eq!((one.len(), two.len(), changed.len()), (one.len(), one.len(), 1), "{which:?}");
    }
    let tx = app.0.store.read().await.unwrap();
    let items = kept(&app, one.revision, Which::Desired).await;
    let of_service = |item: &crate::model::Item| item.kind == ItemKind::Desired(Noun::Service);
    let service = items.into_iter().filter(of_service).collect();
    let content = tx.contents(service).await.unwrap().remove(0).content;
    let text = String::from_utf8(content).unwrap();
    assert!(text.contains("81") && !text.contains("82"), "{text}");
}

#[tokio::test]
async fn old_snapshots_are_forgotten_and_what_only_they_had() {
    let (app, actor, _dir) = app_that_keeps(3).await;
    let id = create(&app, 80).await;
    let count = async || app.0.store.read().await.unwrap().count_kept().await.unwrap();
    for port in 81..84 {
        change(&app, id, port).await;
    }
    let before = count().await;
    for port in 84..104 {
        change(&app, id, port).await;
    }
    assert_eq!(count().await, before, "it grows without end");
    let records = app.snapshots(&actor, app.default_group(), None, 100).await.unwrap();
    assert_eq!(records.len(), 3);
    for record in records {
        let items = kept(&app, record.revision, Which::Resources).await;
        let stored = app.0.store.read().await.unwrap().contents(items).await.unwrap();
        assert_eq!(stored.len(), record.types.values().map(|t| t.count).sum::<usize>());
    }
}

#[tokio::test]
async fn a_group_that_goes_takes_its_history_along() {
    let (app, actor, _dir) = app_that_keeps(100).await;
    let count = async || app.0.store.read().await.unwrap().count_kept().await.unwrap();
    let before = count().await;
    let description = "for a while".to_owned();
    let spec = NodeGroupSpec { description, ..NodeGroupSpec::named(name("blue")) };
    let (group, _) = app.create_node_group(&actor, spec).await.unwrap();
    assert_ne!(count().await, before);
    app.delete_node_group(&actor, group.id, None).await.unwrap();
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn a_restart_adds_nothing_to_history() {
    let (app, actor, dir) = app_that_keeps(100).await;
    create(&app, 80).await;
    let group = app.default_group();
    let before = app.snapshots(&actor, group, None, 100).await.unwrap();
    let count = app.0.store.read().await.unwrap().count_kept().await.unwrap();
    let again = open(&dir, NodeAccess::new(NodeAuth::None, false), 100).await;
    assert_eq!(again.snapshots(&actor, group, None, 100).await.unwrap(), before);
    assert_eq!(again.0.store.read().await.unwrap().count_kept().await.unwrap(), count);
}

/// Not a test of speed: `cargo test --release -- --ignored what_history_costs --nocapture`.
#[tokio::test]
#[ignore = "it measures"]
async fn what_history_costs() {
    let (app, _, _dir) = app_that_keeps(20).await;
    let tx = app.0.store.write().await.unwrap();
    for port in 1..=1000 {
        let spec = service(&format!("s{port}"), port);
        tx.insert_service(app.default_group(), &spec, None, now()).await.unwrap();
    }
    tx.commit().await.unwrap();
    let id = create(&app, 2000).await;
    let mut whole = vec![];
    for port in 2001..2101 {
        let began = Instant::now();
        change(&app, id, port).await;
        whole.push(began.elapsed());
    }
    let mut keeping = vec![];
    for _ in 0..100 {
        let tx = app.0.store.write().await.unwrap();
        let revision = tx.bump_revision(app.default_group()).await.unwrap();
        let state = tx.desired_state(app.default_group()).await.unwrap();
        let snapshot = compile(&state).unwrap();
        let began = Instant::now();
        let items = history::items(&state, &snapshot);
        tx.keep(app.default_group(), revision, items).await.unwrap();
        tx.forget_before(app.default_group(), app.0.retention.oldest(revision)).await.unwrap();
        keeping.push(began.elapsed());
    }
    whole.sort();
    keeping.sort();
    eprintln!("a change of one of 1001 services: {:?}, of it history {:?}", whole[50], keeping[50]);
}
