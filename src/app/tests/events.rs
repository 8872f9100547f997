//! What is told of changes, and to whom.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;

use super::*;
use crate::app::events::EventRetention;
use crate::error::Error;
use crate::events::Told;
use crate::model::{
    AuditEntry, ChangeKind, Event, EventFilter, EventKind, EventOrder, Happening, NewAuditEntry,
    NodeGroupChange, ResetReason, ResourceChange,
};

const ALL: EventOrder = EventOrder::OldestFirst;

async fn events(plane: &Plane, actor: &Actor) -> Vec<Event> {
    plane.app.events(actor, &EventFilter::default(), ALL, None, 10_000).await.unwrap()
}

fn change(event: &Event) -> Option<&ResourceChange> {
    if let Happening::ResourceChanged(change) = &event.told.happening { Some(change) } else { None }
}

/// Each audit entry about a thing is an event, in the same order.
pub(super) async fn whatever_is_noted_is_told(plane: &Plane, entries: &[AuditEntry]) {
    let is_told = |done: &NewAuditEntry| {
        done.refused.is_none() && done.noun.is_some() && done.operation != "SignIn"
    };
    let noted = entries.iter().rev().map(|entry| &entry.done).filter(|done| is_told(done));
    let noted: Vec<_> = noted
        .map(|done| {
            let (noun, id) = (done.noun.clone().unwrap(), done.noun_id.clone().unwrap());
            (done.operation.clone(), noun, id, done.user)
        })
        .collect();
    assert!(noted.len() > 40, "only {}", noted.len());
    let told = events(plane, &plane.admin).await;
    // A rollback and the like tell of more things than one.
    let mut told: Vec<_> = told
        .iter()
        .filter_map(|event| Some((change(event)?, event.told.user)))
        .filter(|(change, _)| {
            let wholesale = ["Rollback", "ReplaceContent"].contains(&&*change.operation);
            !wholesale || change.noun == "node group"
        })
        .map(|(c, user)| (c.operation.clone(), c.noun.clone(), c.id.clone(), user))
        .collect();
    told.dedup();
    assert_eq!(told, noted);
    let told = format!("{:?}", events(plane, &plane.admin).await);
    for secret in [PASSWORD, "another good password", "$argon2", "otpauth", "PRIVATE KEY", SECRET] {
        assert!(!told.contains(secret), "the event log tells {secret}");
    }
}

#[tokio::test]
async fn an_event_is_told_to_who_may_see_what_it_is_about() {
    let plane = Plane::start().await;
    let app = &plane.app;
    let (blue, green) = (plane.group("blue").await, plane.group("green").await);
    let mut services = vec![];
    for group in [blue, green] {
        services.push(plane.service(Some(group), "one").await);
        services.push(plane.service(Some(group), "two").await);
    }
    let of_group = plane.user("of-group", Role::Member).await;
    app.assign_group(&plane.admin, of_group.id, blue, AssignedRole::Viewer).await.unwrap();
    let of_service = plane.user("of-service", Role::Member).await;
    let role = AssignedRole::Operator;
    app.assign_service(&plane.admin, of_service.id, services[2].id, role).await.unwrap();
    plane.user("nobody", Role::Member).await;
    plane.user("viewer", Role::Viewer).await;
    let spec = ApiTokenSpec {
        name: name("of-admin"),
        role: Role::Admin,
        group: Some(green),
        expires_at: None,
    };
    let (_, secret) = app.create_api_token(&plane.admin, spec).await.unwrap();
    let mut everybody = vec![plane.admin.clone()];
    for user in ["viewer", "of-group", "of-service", "nobody"] {
        everybody.push(plane.come(user).await);
    }
    everybody.push(plane.with(secret.expose()).await.unwrap());

    let all = events(&plane, &plane.admin).await;
    let mut seen_by_each = vec![];
    for actor in &everybody {
        let seen = events(&plane, actor).await;
        for event in &all {
            let group = event.told.group;
            // What the matching read says.
            let may = match (&event.told.happening, change(event).map(|c| c.noun.as_str())) {
                (Happening::SnapshotPublished(_), _) => {
                    app.snapshots(actor, group.unwrap(), None, 1).await.is_ok()
                }
                (_, Some("service")) => {
                    let id = change(event).unwrap().id.parse::<i32>().unwrap();
                    app.service(actor, id.try_into().unwrap()).await.is_ok()
                }
                (_, Some("node group")) => app.node_group(actor, group.unwrap()).await.is_ok(),
                (_, Some(_)) => {
                    let filter = AuditFilter::default();
                    let is_own = change(event).unwrap().owner == Some(actor.user);
                    is_own || app.audit_entries(actor, &filter, None, 1).await.is_ok()
                }
                (other, None) => panic!("{other:?}"),
            };
            assert_eq!(seen.contains(event), may, "{}: {event:?}", actor.username);
        }
        // What is followed is the same.
        let start = app.event_log(actor).await.unwrap().start();
        let followed = app.follow_events(actor, Some(start), EventFilter::default()).await.unwrap();
        let followed: Vec<_> = followed.take(seen.len()).collect().await;
        let followed = followed.into_iter().map(|told| match told {
            Told::Event(event) => (*event).clone(),
            Told::Reset(reset) => panic!("{reset:?}"),
        });
        assert_eq!(followed.collect::<Vec<_>>(), seen);
        seen_by_each.push(seen.len());
        if !seen.is_empty() {
            let nouns: BTreeSet<_> =
                seen.iter().filter_map(change).map(|c| c.noun.as_str()).collect();
            assert!(!nouns.is_empty());
        }
    }
    let [admin, viewer, of_group, of_service, nobody, of_token] = seen_by_each[..] else {
        panic!()
    };
    assert_eq!(admin, all.len());
    assert!(viewer < admin && of_group < viewer && of_service < of_group, "{seen_by_each:?}");
    assert!(nobody < of_service && of_token < viewer, "{seen_by_each:?}");
    let hidden = app.follow_events(
        &everybody[4],
        None,
        EventFilter { group: Some(blue), ..Default::default() },
    );
    assert!(hidden.await.is_err(), "a group that they may not know of");
}

#[tokio::test]
async fn who_sees_one_service_hears_of_changes_of_others_neither_singly_nor_together() {
    let plane = Plane::start().await;
    let (app, group) = (&plane.app, plane.app.default_group());
    let mine = plane.service(None, "mine").await;
    for (user, role) in [("of-service", Role::Member), ("viewer", Role::Viewer)] {
        plane.user(user, role).await;
    }
    let of_service = plane.come("of-service").await;
    let role = AssignedRole::Viewer;
    app.assign_service(&plane.admin, of_service.user, mine.id, role).await.unwrap();
    let (of_service, viewer) = (plane.come("of-service").await, plane.come("viewer").await);

    let before = app.event_log(&plane.admin).await.unwrap().end();
    let new = NewService { group: None, spec: service_spec("theirs") };
    let change = ReadChange {
        field: "createService",
        read: Box::new(|_| Ok(NewChange::CreateService(Box::new(new)))),
    };
    let changes = Changes { group: None, changes: vec![change], message: None };
    app.apply_changes(&plane.admin, changes).await.unwrap();
    let named = async |actor: &Actor| {
        let filter = EventFilter::default();
        let told = app.events(actor, &filter, ALL, Some(before), 10).await.unwrap();
        told.iter().filter(|event| format!("{event:?}").contains("theirs")).count()
    };
    assert_eq!((named(&viewer).await, named(&of_service).await), (3, 0));

    // What the group itself is called they may know.
    let change = NodeGroupChange { description: Some("ours".to_owned()), ..Default::default() };
    app.update_node_group(&plane.admin, group, change).await.unwrap();
    let last = events(&plane, &of_service).await.pop().unwrap();
    assert_eq!(self::change(&last).unwrap().operation, "UpdateNodeGroup");
}

#[tokio::test]
async fn a_rollback_tells_of_each_thing_that_it_changed() {
    let plane = Plane::start().await;
    let (app, group) = (&plane.app, plane.app.default_group());
    let before = app.snapshots(&plane.admin, group, None, 1).await.unwrap().remove(0);
    let service = plane.service(None, "api").await;
    let from = app.event_log(&plane.admin).await.unwrap().end();
    let back = Rollback { to: before.id, if_current: None, reason: None, recompiled: false };
    app.rollback(By::User(&plane.admin), back).await.unwrap();
    let told =
        app.events(&plane.admin, &EventFilter::default(), ALL, Some(from), 10).await.unwrap();
    let kinds: Vec<_> = told.iter().map(|event| event.told.happening.kind()).collect();
    use EventKind::{ResourceChanged, SnapshotPublished};
    assert_eq!(kinds, [SnapshotPublished, ResourceChanged, ResourceChanged]);
    let gone = change(&told[2]).unwrap();
    assert_eq!((gone.noun.as_str(), gone.change), ("service", ChangeKind::Removed));
    assert_eq!(gone.id, service.id.to_string());
    assert_eq!(told[2].told.username.as_deref(), Some("admin"));
}

#[tokio::test]
async fn a_change_that_fails_tells_nothing() {
    let plane = Plane::start().await;
    plane.service(None, "api").await;
    let before = plane.app.event_log(&plane.admin).await.unwrap();
    let new = NewService { group: None, spec: service_spec("api") };
    plane.app.create_service(&plane.admin, new).await.unwrap_err();
    assert_eq!(plane.app.event_log(&plane.admin).await.unwrap(), before);
}

#[tokio::test]
async fn events_are_listed_in_either_order_and_those_that_are_gone_are_missed() {
    let plane = Plane::start().await;
    for i in 0..5 {
        plane.service(None, &format!("s{i}")).await;
    }
    let (app, admin) = (&plane.app, &plane.admin);
    let only =
        EventFilter { kinds: vec![EventKind::ResourceChanged], group: Some(app.default_group()) };
    let oldest = app.events(admin, &only, ALL, None, 3).await.unwrap();
    assert_eq!(oldest.len(), 3);
    let rest = app.events(admin, &only, ALL, Some(oldest[2].cursor), 10).await.unwrap();
    let newest = app.events(admin, &only, EventOrder::NewestFirst, None, 10).await.unwrap();
    let both: Vec<_> = oldest.iter().chain(&rest).rev().cloned().collect();
    assert_eq!(newest, both);

    let mut late = app.follow_events(admin, Some(oldest[0].cursor), only.clone()).await.unwrap();
    let keep = EventRetention { age: None, most: 2 };
    assert!(app.forget_events(keep).await.unwrap() > 0);
    assert_eq!(app.forget_events(keep).await.unwrap(), 0);
    let ends = app.event_log(admin).await.unwrap();
    assert_eq!(ends.last - ends.first + 1, 2);
    let gone = app.events(admin, &only, ALL, Some(oldest[0].cursor), 3).await;
    assert!(matches!(gone, Err(Error::CursorExpired)), "{gone:?}");
    let backwards = Some(oldest[2].cursor);
    let older = app.events(admin, &only, EventOrder::NewestFirst, backwards, 10).await.unwrap();
    assert!(older.is_empty());
    // The ring still has them for who was there; for who comes now, it is one reset.
    assert!(matches!(late.next().await, Some(Told::Event(_))));
    let now = app.follow_events(admin, Some(ends.start()), only.clone()).await.unwrap();
    let told: Vec<_> = now.take(1).collect().await;
    assert!(matches!(told[..], [Told::Event(_)]), "{told:?}");
    let other = crate::model::EventCursor { log: ends.log + 1, ..ends.end() };
    for (after, reason) in
        [(oldest[0].cursor, ResetReason::Expired), (other, ResetReason::OtherLog)]
    {
        let mut late = app.follow_events(admin, Some(after), only.clone()).await.unwrap();
        let Some(Told::Reset(reset)) = late.next().await else { panic!("no reset") };
        assert_eq!((reset.reason, reset.cursor), (reason, ends.end()));
    }
}
