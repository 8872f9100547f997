//! The event log, tortured: whoever has a cursor misses nothing and is told nothing twice.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use marchproxy::model::{
    ChangeKind, Happening, NewEvent, NodeGroupId, NodeGroupSpec, ResourceChange,
};
use marchproxy::store::Store;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::graphql_socket::Raw;
use crate::support::{Kind, LIMIT, Plane, Redis, eventually};

const STREAM: &str = "subscription($after: String) { eventStream(after: $after) {
    __typename ... on Event { cursor kind resource { summary } snapshot { revision } }
    ... on StreamReset { reason cursor } } }";

async fn open(url: &str) -> Store {
    Store::open(&url.parse().unwrap()).await.unwrap()
}

fn event(group: Option<NodeGroupId>, id: i64, summary: &str) -> NewEvent {
    let happening = Happening::ResourceChanged(ResourceChange {
        noun: "test".to_owned(),
        id: id.to_string(),
        change: ChangeKind::Changed,
        operation: "Test".to_owned(),
        summary: summary.to_owned(),
        owner: None,
    });
    NewEvent { at: Utc::now(), group, user: None, username: None, happening }
}

/// Where the log ends.
async fn end(plane: &Plane) -> Value {
    let query = "{ serverInfo { eventLog { lastCursor } } }";
    plane.ask(query, json!({})).await.data()["serverInfo"]["eventLog"]["lastCursor"].clone()
}

/// The cursors of all events after one, as the table has them.
async fn listed(plane: &Plane, mut after: Value) -> Vec<Value> {
    let query = "query($after: String) { events(first: 200, after: $after) {
        edges { cursor node { cursor } } pageInfo { hasNextPage } } }";
    let mut cursors = vec![];
    loop {
        let page = plane.ask(query, json!({ "after": after })).await.data()["events"].clone();
        for edge in page["edges"].as_array().unwrap() {
            assert_eq!(edge["cursor"], edge["node"]["cursor"]);
            cursors.push(edge["cursor"].clone());
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return cursors;
        }
        after = cursors.last().unwrap().clone();
    }
}

async fn create_service(plane: &Plane, name: &str) {
    let input = json!({ "name": name, "ipFqdn": "127.0.0.1", "port": 9 });
    plane.change("createService", "CreateServiceInput", input).await;
}

/// A client that keeps its list, and comes back to where it was.
struct Client {
    raw: Raw,
    cursors: Vec<Value>,
    resets: Vec<Value>,
}

impl Client {
    async fn connect(plane: &Plane, token: &str, after: &Value) -> Self {
        let mut client =
            Self { raw: Raw::signed_in_by(plane, token).await, cursors: vec![], resets: vec![] };
        client.subscribe(after).await;
        client
    }

    async fn subscribe(&mut self, after: &Value) {
        let payload = json!({ "query": STREAM, "variables": { "after": after } });
        self.raw.say(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    }

    /// As a client does whose socket was closed.
    async fn come_back(&mut self, plane: &Plane, token: &str, first: &Value) {
        self.raw = Raw::signed_in_by(plane, token).await;
        let after = self.cursors.last().unwrap_or(first).clone();
        self.subscribe(&after).await;
    }

    /// Takes in the next message; an error is the code of the close frame.
    async fn take(&mut self) -> Result<(), u16> {
        let heard = self.raw.hears_or_closed().await?;
        let item = &heard["payload"]["data"]["eventStream"];
        match item["__typename"].as_str() {
            Some("Event") => self.cursors.push(item["cursor"].clone()),
            Some("StreamReset") => self.resets.push(item.clone()),
            _ => panic!("{heard}"),
        }
        Ok(())
    }

    /// Takes in messages until the list ends with what the table ends with.
    async fn take_until(&mut self, last: &Value) -> Result<(), u16> {
        while self.cursors.last() != Some(last) {
            self.take().await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn numbers_have_the_order_of_commits_and_no_hole_is_ever_seen() {
    const WRITERS: i64 = 50;
    const EACH: i64 = 8;
    let dir = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let store = open(&kind.database(dir.path()).await).await;
        let mut groups = vec![];
        for name in ["blue", "green"] {
            let spec = NodeGroupSpec::named(name.to_owned().try_into().unwrap());
            let tx = store.write().await.unwrap();
            groups.push(tx.insert_node_group(&spec, false, None, Utc::now()).await.unwrap().id);
            tx.commit().await.unwrap();
        }
        let write = async |writer: i64| {
            let group = groups[usize::try_from(writer % 2).unwrap()];
            for _ in 0..EACH {
                let tx = store.write().await.unwrap();
                // The order of a group's revisions is that of its commits.
                let revision = tx.bump_revision(group).await.unwrap().into();
                tx.tell(event(Some(group), revision, "first"));
                tx.tell(event(Some(group), revision, "second"));
                tx.commit().await.unwrap();
                let dropped = store.write().await.unwrap();
                dropped.tell(event(Some(group), 0, "never"));
            }
        };
        let read = async {
            let mut seen = vec![];
            while i64::try_from(seen.len()).unwrap() < WRITERS * EACH * 2 {
                let after = i64::try_from(seen.len()).unwrap();
                let tx = store.read().await.unwrap();
                let ends = tx.event_log().await.unwrap();
                let events = tx.events_after(after, 10_000).await.unwrap();
                assert_eq!(i64::try_from(events.len()).unwrap(), ends.last - after, "{kind:?}");
                seen.extend(events);
                tokio::task::yield_now().await;
            }
            seen
        };
        let all = async { tokio::join!(read, join_all((0..WRITERS).map(write))).0 };
        let seen = timeout(3 * LIMIT, all).await.unwrap();
        let numbers: Vec<_> = seen.iter().map(|event| event.cursor.seq).collect();
        assert_eq!(numbers, (1..=WRITERS * EACH * 2).collect::<Vec<_>>(), "{kind:?}");
        for group in &groups {
            let of_group = seen.iter().filter(|event| event.told.group == Some(*group));
            let revisions: Vec<i64> = of_group
                .map(|event| {
                    let Happening::ResourceChanged(change) = &event.told.happening else {
                        panic!("{event:?}")
                    };
                    change.id.parse().unwrap()
                })
                .collect();
            let want = (1..=WRITERS / 2 * EACH).flat_map(|revision| [revision, revision]);
            assert_eq!(revisions, want.collect::<Vec<_>>(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_client_is_told_each_event_once_though_the_server_is_killed_again_and_again() {
    let mut plane = Plane::start_as_newcomers_do().await;
    let token = plane.token().to_owned();
    let start = end(&plane).await;
    let mut client = Client::connect(&plane, &token, &start).await;
    for round in 0..4 {
        for i in 0..10 {
            create_service(&plane, &format!("s{round}-{i}")).await;
            if i % 3 == 0 {
                client.take().await.unwrap(); // so it is somewhere in the midst
            }
        }
        plane.kill();
        plane.start_again().await;
        create_service(&plane, &format!("away-{round}")).await; // nobody follows
        client.come_back(&plane, &token, &start).await;
    }
    let want = listed(&plane, start).await;
    assert_eq!(want.len(), 4 * 11 * 2, "a snapshot and a service each");
    client.take_until(want.last().unwrap()).await.unwrap();
    assert_eq!(client.cursors, want);
    assert!(client.resets.is_empty(), "{:?}", client.resets);
}

#[tokio::test]
async fn a_client_whose_token_expires_comes_back_with_another_and_misses_nothing() {
    let plane = Plane::start_as_newcomers_do().await;
    let start = end(&plane).await;
    let create = "mutation($input: CreateApiTokenInput!) {
        createApiToken(input: $input) { token } }";
    let ends = (Utc::now() + TimeDelta::seconds(3)).to_rfc3339();
    let input = json!({ "name": "short", "role": "ADMIN", "expiresAt": ends });
    let made = plane.ask(create, json!({ "input": input })).await.data();
    let token = made["createApiToken"]["token"].as_str().unwrap();
    let mut client = Client::connect(&plane, token, &start).await;
    create_service(&plane, "before").await;
    let closed = async {
        loop {
            if let Err(code) = client.take().await {
                return code;
            }
        }
    };
    assert_eq!(closed.await, 4403);
    create_service(&plane, "meanwhile").await;
    let mut refused = Raw::open(&plane).await;
    refused.say(crate::graphql_socket::init(token)).await;
    assert_eq!(refused.closed().await.0, 4403, "the old token is good no more");
    client.come_back(&plane, plane.token(), &start).await;
    create_service(&plane, "after").await;
    let want = listed(&plane, start).await;
    client.take_until(want.last().unwrap()).await.unwrap();
    assert_eq!(client.cursors, want);
    assert!(client.resets.is_empty(), "{:?}", client.resets);
}

#[tokio::test]
async fn a_client_that_sleeps_through_a_burst_has_the_whole_log_after() {
    const BURST: i64 = 20_000;
    let plane = Plane::start_as_newcomers_do().await;
    let (token, start) = (plane.token().to_owned(), end(&plane).await);
    let mut client = Client::connect(&plane, &token, &start).await;
    create_service(&plane, "first").await;
    client.take().await.unwrap();

    let store = open(&plane.database()).await;
    let long = "x".repeat(700); // in all more than sockets have room for
    for from in (0..BURST).step_by(1000) {
        let tx = store.write().await.unwrap();
        (from..from + 1000).for_each(|id| tx.tell(event(None, id, &long)));
        tx.commit().await.unwrap();
    }
    store.close().await.unwrap();
    create_service(&plane, "last").await;
    // For a minute nobody reads: longer than a blocked socket is waited for, and than a laptop's
    // nap. That is six of the server's limits, so it has long made up its mind and let go of all
    // that it held for this client. The sleep itself is what is tested: nothing to wait for tells.
    tokio::time::sleep(Duration::from_secs(60)).await;

    let want = listed(&plane, start.clone()).await;
    assert_eq!(want.len(), 20_000 + 4);
    let mut closed = vec![];
    while let Err(code) = client.take_until(want.last().unwrap()).await {
        closed.push(code);
        client.come_back(&plane, &token, &start).await;
    }
    assert_eq!(client.cursors.len(), want.len(), "closed: {closed:?}");
    assert_eq!(client.cursors, want);
    assert!(client.resets.is_empty(), "{:?}", client.resets);
    // It is let go as too slow, if it was not too slow even to hear that.
    assert!(closed.iter().all(|code| [1013, 1006].contains(code)), "{closed:?}");
}

#[tokio::test]
async fn an_expired_cursor_is_one_reset_and_a_look_after_it_gives_the_truth() {
    let mut plane = Plane::start_as_newcomers_do().await;
    let (token, old) = (plane.token().to_owned(), end(&plane).await);
    for i in 0..20 {
        create_service(&plane, &format!("s{i}")).await;
    }
    let newest = end(&plane).await;
    plane.kill();
    plane.set("EVENT_HISTORY", "5");
    plane.start_again().await;
    let kept = "{ events(first: 200) { nodes { cursor } } }";
    eventually("what is too much is forgotten", async || {
        let kept = plane.ask(kept, json!({})).await.data()["events"]["nodes"].clone();
        if kept.as_array().unwrap().len() == 5 { Ok(()) } else { Err(kept.to_string()) }
    })
    .await;

    // With an old cursor, one of another log, and none.
    let mut clients = vec![];
    let other = json!("ZTE6MToxMg"); // e1:1:12
    for (after, reason) in [(&old, "EXPIRED"), (&other, "OTHER_LOG"), (&Value::Null, "NO_CURSOR")] {
        let mut client = Client::connect(&plane, &token, after).await;
        client.take().await.unwrap();
        assert_eq!(client.resets[0]["reason"], reason);
        assert_eq!(client.resets[0]["cursor"], newest);
        clients.push(client);
    }
    // Each looks now, and follows what comes after.
    let state = async || plane.state().await["services"]["nodes"].as_array().unwrap().len();
    let looked = state().await;
    create_service(&plane, "after").await;
    let want = listed(&plane, newest.clone()).await;
    for client in &mut clients {
        client.take_until(want.last().unwrap()).await.unwrap();
        assert_eq!(client.cursors, want);
        assert_eq!(client.resets.len(), 1, "{:?}", client.resets);
    }
    assert_eq!(state().await, looked + 1);
    let list = "query($after: String) { events(after: $after) { nodes { cursor } } }";
    let refused = plane.ask(list, json!({ "after": old })).await;
    assert_eq!(refused.error()["extensions"]["code"], "CURSOR_EXPIRED");
}

#[tokio::test]
async fn snapshots_are_told_one_by_one_to_who_has_a_cursor() {
    let mut plane = Plane::start_as_newcomers_do().await;
    let start = end(&plane).await;
    for i in 0..10 {
        create_service(&plane, &format!("s{i}")).await;
    }
    plane.kill();
    plane.start_again().await;
    let query = "subscription($after: String) { snapshotPublished(after: $after) {
        cursor revision version types { type version } nodeGroup { name } } }";
    let mut told = vec![];
    let mut snapshots = plane.subscribe(query, json!({ "after": start })).await;
    while told.len() < 4 {
        told.push(snapshots.next().await.unwrap()["snapshotPublished"].clone());
    }
    let mut snapshots = plane.subscribe(query, json!({ "after": told[3]["cursor"] })).await;
    while told.len() < 10 {
        told.push(snapshots.next().await.unwrap()["snapshotPublished"].clone());
    }
    let history = "{ snapshots(first: 10) { nodes { revision version types { type version } } } }";
    let history = plane.ask(history, json!({})).await.data();
    let history = history["snapshots"]["nodes"].as_array().unwrap().iter().rev();
    for (told, kept) in told.iter().zip(history) {
        assert_eq!(told["nodeGroup"]["name"], "default");
        for field in ["revision", "version", "types"] {
            assert_eq!(told[field], kept[field], "{field}");
        }
    }

    plane.kill();
    plane.set("EVENT_HISTORY", "2");
    plane.start_again().await;
    let gone = json!({ "query": query, "variables": { "after": start } });
    let mut raw = Raw::signed_in_by(&plane, plane.token()).await;
    eventually("what is too much is forgotten", async || {
        let list = "query($after: String) { events(after: $after) { nodes { cursor } } }";
        let answer = plane.ask(list, json!({ "after": start })).await.0;
        if answer["errors"].is_null() { Err(answer.to_string()) } else { Ok(()) }
    })
    .await;
    raw.say(json!({ "type": "subscribe", "id": "1", "payload": gone })).await;
    let heard = raw.hears().await;
    let error = &heard["payload"]["errors"][0]["extensions"];
    assert_eq!(error["code"], "CURSOR_EXPIRED", "{heard}");
    assert_eq!(error["cursor"], end(&plane).await);
    assert_eq!(raw.hears().await, json!({ "type": "complete", "id": "1" }));
}

/// Two instances on one database, and on this Redis if there is one.
async fn two(redis: Option<&Redis>) -> [Plane; 2] {
    let database = Kind::Postgres.database(std::path::Path::new("")).await;
    let mut settings = vec![("DATABASE_URL", database)];
    settings.extend(redis.map(|redis| ("REDIS_URL", redis.url())));
    [Plane::start_as_it_is(settings.clone()).await, Plane::start_as_it_is(settings).await]
}

#[tokio::test]
async fn what_happens_at_one_instance_is_told_by_all_in_the_same_order() {
    let redis = Redis::start().await;
    for redis in [None, Some(&redis)] {
        let planes = two(redis).await;
        let start = end(&planes[0]).await;
        let mut clients = vec![];
        for plane in &planes {
            clients.push(Client::connect(plane, plane.token(), &start).await);
        }
        join_all((0..20).map(|i| {
            let plane = &planes[i % 2];
            async move { create_service(plane, &format!("s{i}")).await }
        }))
        .await;
        let want = listed(&planes[0], start).await;
        assert_eq!(want.len(), 40);
        for client in &mut clients {
            client.take_until(want.last().unwrap()).await.unwrap();
            assert_eq!(client.cursors, want);
        }
        // Who was at one instance comes back to the other.
        let [here, there] = &planes;
        let mut moved = Client::connect(there, there.token(), &want[19]).await;
        create_service(here, "moved").await;
        let want = listed(here, want[19].clone()).await;
        moved.take_until(want.last().unwrap()).await.unwrap();
        assert_eq!(moved.cursors, want);
    }
}
