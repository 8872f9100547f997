//! Going back, and forward again.

use super::history_tests::{change, create, name, service};
use super::testing::{admin, app_that_keeps};
use super::*;
use crate::compile::compile;
use crate::history;
use crate::model::{
    DesiredState, Forward, KeptItem, ListenerChange, ListenerProtocol, NodeGroupChange, Page,
    PathMatch, Protocol, RouteAction, RouteChange, RuntimeKey, RuntimeValue, ServiceChange,
    ServiceId, SnapshotId, SnapshotRecord,
};

fn to(to: SnapshotId) -> Rollback {
    Rollback { to, if_current: None, reason: None, recompiled: false }
}

async fn state(app: &App) -> DesiredState {
    let tx = app.0.store.read().await.unwrap();
    tx.desired_state(app.default_group()).await.unwrap()
}

/// What of a state comes back, and what it comes to.
fn essence(state: &DesiredState) -> (Vec<KeptItem>, String) {
    let snapshot = compile(state).unwrap();
    let kept = history::items(state, &snapshot).into_iter();
    let desired = |kept: &KeptItem| matches!(kept.item.kind, crate::model::ItemKind::Desired(_));
    (kept.filter(desired).collect(), snapshot.digest().to_string())
}

async fn newest(app: &App) -> SnapshotRecord {
    let group = app.default_group();
    app.snapshots(&admin(), group, None, 1).await.unwrap().remove(0)
}

async fn create_route(app: &App, route: &str, services: &[ServiceId]) -> crate::model::RouteId {
    let weight = crate::model::Weight::ONE;
    let backends =
        services.iter().map(|service| crate::model::Backend { service: *service, weight });
    let new = NewRoute {
        labels: Default::default(),
        group: None,
        listener: None,
        name: name(route),
        hosts: vec![format!("{route}.example").try_into().unwrap()],
        path: PathMatch::Prefix("/".to_owned().try_into().unwrap()),
        methods: vec![],
        headers: vec![],
        priority: 0,
        action: RouteAction::Forward(Forward {
            backends: backends.collect(),
            ..Default::default()
        }),
    };
    app.create_route(&admin(), new).await.unwrap().0.id
}

async fn rename(app: &App, id: ServiceId, to: &str) {
    let change = ServiceChange { name: Some(name(to)), ..Default::default() };
    app.update_service(&admin(), id, change).await.unwrap();
}

/// Everything of a group changes, with each kind of reference; then back and forth.
#[tokio::test]
async fn wherever_one_goes_back_to_it_is_what_it_was() {
    let (app, actor, _dir) = app_that_keeps(100).await;
    let group = app.default_group();
    let mut past = vec![(newest(&app).await, essence(&state(&app).await))];
    let (a, b) = (create(&app, 80).await, create(&app, 81).await);
    past.push((newest(&app).await, essence(&state(&app).await)));
    let route = create_route(&app, "r", &[a, b]).await;
    let tcp = crate::model::ServiceSpec { protocol: Protocol::Tcp, ..service("tcp", 90) };
    let new = NewService { group: None, spec: tcp };
    let tcp = app.create_service(&actor, new).await.unwrap().0.service.id;
    let listener = app.listeners(&actor, group, Page::ALL).await.unwrap().remove(0);
    let spec = crate::model::ListenerSpec {
        certificate: None,
        name: name("extra"),
        port: 9000.try_into().unwrap(),
        protocol: ListenerProtocol::Tcp(tcp),
        ..listener.spec
    };
    let extra = NewListener { group: None, spec };
    let extra = app.create_listener(&actor, extra).await.unwrap().0.id;
    past.push((newest(&app).await, essence(&state(&app).await)));
    // The two change names with each other, by way of a third.
    rename(&app, a, "other").await;
    rename(&app, b, "s80").await;
    rename(&app, a, "s81").await;
    past.push((newest(&app).await, essence(&state(&app).await)));
    let c = create(&app, 82).await;
    let weight = crate::model::Weight::ONE;
    let change = RouteChange {
        name: Some(name("renamed")),
        forward: crate::model::ForwardChange {
            backends: Some(vec![crate::model::Backend { service: c, weight }]),
            ..Default::default()
        },
        ..Default::default()
    };
    app.update_route(&actor, route, change).await.unwrap();
    app.delete_service(&actor, a, None).await.unwrap();
    app.delete_listener(&actor, extra, None).await.unwrap();
    app.delete_service(&actor, tcp, None).await.unwrap();
    let again = create_route(&app, "r", &[b]).await;
    past.push((newest(&app).await, essence(&state(&app).await)));
    app.delete_route(&actor, again, None).await.unwrap();
    app.delete_route(&actor, route, None).await.unwrap();
    app.delete_service(&actor, b, None).await.unwrap();
    let change = ListenerChange { port: Some(1234.try_into().unwrap()), ..Default::default() };
    app.update_listener(&actor, listener.id, change).await.unwrap();
    let runtime = [(RuntimeKey(name("a.b")), RuntimeValue::Bool(true))].into();
    let change = NodeGroupChange { runtime: Some(runtime), ..Default::default() };
    app.update_node_group(&actor, group, change).await.unwrap();
    past.push((newest(&app).await, essence(&state(&app).await)));

    for i in [2, 0, 5, 1, 4, 3, 3, 0, 4] {
        let (record, was) = &past[i];
        let before = newest(&app).await;
        let (made, change) = app.rollback(By::User(&actor), to(record.id)).await.unwrap();
        assert_eq!(&essence(&state(&app).await), was, "back at {i}");
        assert_eq!((&made.version, &made.types), (&record.version, &record.types), "back at {i}");
        assert_eq!(i64::from(change.revision), i64::from(before.revision) + 1);
        assert_eq!(made.cause, format!("roll back to revision {}", record.revision));
    }
}

#[tokio::test]
async fn a_rollback_that_is_refused_changes_nothing() {
    let (app, actor, _dir) = app_that_keeps(4).await;
    let old = newest(&app).await;
    let id = create(&app, 80).await;
    let known = newest(&app).await;
    change(&app, id, 81).await;
    let before = (newest(&app).await, state(&app).await);

    let rollback = Rollback { if_current: Some(known.id), ..to(old.id) };
    let refused = app.rollback(By::User(&actor), rollback).await.unwrap_err();
    assert_eq!(refused.codes().graphql, "CONFLICT", "{refused}");
    let rollback = Rollback { reason: Some("x".repeat(501)), ..to(old.id) };
    let refused = app.rollback(By::User(&actor), rollback).await.unwrap_err();
    assert_eq!(refused.path(), ["reason"]);
    let viewer = crate::auth::actor(crate::model::Role::Viewer);
    let refused = app.rollback(By::User(&viewer), to(old.id)).await.unwrap_err();
    assert_eq!(refused.codes().graphql, "FORBIDDEN");
    let none = SnapshotId::try_from(999).unwrap();
    let refused = app.rollback(By::User(&actor), to(none)).await.unwrap_err();
    assert_eq!(refused.codes().graphql, "NOT_FOUND");
    assert_eq!((newest(&app).await, state(&app).await), before);

    let rollback = Rollback {
        if_current: Some(before.0.id),
        reason: Some("it broke".to_owned()),
        ..to(old.id)
    };
    let (made, _) = app.rollback(By::User(&actor), rollback).await.unwrap();
    assert_eq!(made.cause, format!("roll back to revision {}: it broke", old.revision));
    assert_eq!(made.author, Some(actor.user));
    for port in 81..84 {
        create(&app, port).await;
    }
    let gone = app.rollback(By::User(&actor), to(old.id)).await.unwrap_err();
    assert_eq!(gone.codes().graphql, "NOT_FOUND", "it is forgotten by now");
}

#[tokio::test]
async fn what_compiles_to_something_else_today_is_restored_only_if_that_is_meant() {
    let (app, actor, _dir) = app_that_keeps(100).await;
    create(&app, 80).await;
    let old = newest(&app).await;
    create(&app, 81).await;
    // As if an older release had compiled it.
    let tx = app.0.store.write().await.unwrap();
    tx.set_version(old.id, "of an older release").await.unwrap();
    tx.commit().await.unwrap();
    let before = (newest(&app).await, state(&app).await);
    let refused = app.rollback(By::User(&actor), to(old.id)).await.unwrap_err();
    assert_eq!(refused.codes().graphql, "CONFLICT", "{refused}");
    assert_eq!((newest(&app).await, state(&app).await), before);
    let meant = Rollback { recompiled: true, ..to(old.id) };
    app.rollback(By::User(&actor), meant).await.unwrap();
    assert_eq!(state(&app).await.services.len(), 1);
}

#[tokio::test]
async fn two_snapshots_are_compared_and_shown() {
    let (app, actor, _dir) = app_that_keeps(100).await;
    let id = create(&app, 8080).await;
    let one = newest(&app).await;
    change(&app, id, 8081).await;
    create(&app, 8082).await;
    let two = newest(&app).await;
    let pair = (&one, &two);
    let changes = app.snapshot_changes(&actor, pair, crate::model::Which::Resources).await.unwrap();
    let shown = app.show_changes(&actor, one.group, changes).await.unwrap();
    let kinds: Vec<String> =
        shown.iter().map(|c| format!("{} {}", c.change.kind, c.change.name)).collect();
    let wanted = [
        "resource/cluster cluster_1_service_2",
        "resource/endpoint cluster_1_service_1",
        "resource/endpoint cluster_1_service_2",
        "resource/route marchproxy_routes",
    ];
    assert_eq!(kinds, wanted);
    let diff = &shown[1].diff;
    assert!(diff.contains("-                \"port_value\": 8080\n"), "{diff}");
    assert!(diff.contains("+                \"port_value\": 8081\n"), "{diff}");
    let objects = app.snapshot_changes(&actor, pair, crate::model::Which::Desired).await.unwrap();
    assert_eq!(objects.len(), 2, "{objects:?}");
}
