//! Times to live, and the heartbeats that keep alive what has one.

use std::time::Duration;

use super::*;

const RUNTIME: ResourceType = ResourceType::Runtime;
const TTL: Duration = Duration::from_secs(10);

/// A layer of runtime values that lives for ten seconds.
fn layer(name: &str, content: &str) -> Resource {
    resource(RUNTIME, name, content).with_ttl(TTL)
}

/// A session with a client that knows of times to live, and a clock.
struct Life {
    talk: Talk,
    now: SystemTime,
}

impl Life {
    fn of(protocol: Protocol, resources: &[Resource]) -> Self {
        let mut talk = Talk::new(protocol);
        talk.session = Session::new(protocol).with_ttl();
        assert_eq!(talk.publish(1, resources), NOTHING);
        Self { talk, now: NOW }
    }

    /// What is sent when the session is woken after this time.
    fn after(&mut self, time: Duration) -> Vec<Received> {
        self.now += time;
        let outputs = self.talk.session.wake(self.now);
        self.hear(outputs)
    }

    fn ask(&mut self, resource_type: ResourceType, names: &[&str]) -> Vec<Received> {
        let names: Vec<String> = owned(names).collect();
        self.talk.names.entry(resource_type).or_default().extend(names.iter().cloned());
        self.say(resource_type, names, None)
    }

    fn answer(&mut self, resource_type: ResourceType, error: Option<&str>) -> Vec<Received> {
        self.say(resource_type, Vec::new(), error)
    }

    fn say(
        &mut self,
        resource_type: ResourceType,
        subscribe: Vec<String>,
        error: Option<&str>,
    ) -> Vec<Received> {
        let type_url = resource_type.type_url().to_owned();
        let response_nonce = self.talk.nonces.get(&resource_type).cloned().unwrap_or_default();
        let error_detail =
            error.map(|message| proto::Status { code: 13, message: message.to_owned() });
        let request = match self.talk.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: self.talk.names[&resource_type].iter().cloned().collect(),
                type_url,
                response_nonce,
                error_detail,
                ..Default::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                resource_names_subscribe: subscribe,
                type_url,
                response_nonce,
                error_detail,
                ..Default::default()
            }),
        };
        let outputs = self.talk.session.on_request(request, self.now).expect("it is in order");
        self.hear(outputs)
    }

    fn publish(&mut self, revision: u64, resources: &[Resource]) -> Vec<Received> {
        let next = snapshot(revision, resources.iter().cloned());
        let outputs = self.talk.session.on_snapshot(next, self.now);
        self.hear(outputs)
    }

    fn hear(&mut self, outputs: Vec<Output>) -> Vec<Received> {
        let mut heard = Vec::new();
        for output in outputs {
            match output {
                Output::Send(response) => {
                    let received = Received::read(&response);
                    self.talk.nonces.insert(received.resource_type, received.nonce.clone());
                    heard.push(received);
                }
                Output::Report(event) => self.talk.news.extend(news(&event)),
            }
        }
        heard
    }

    /// How long from now until the session wants to be woken.
    fn rests(&self) -> Option<Duration> {
        let at = self.talk.session.wakes_at()?;
        Some(at.duration_since(self.now).unwrap_or_default())
    }
}

/// For each resource its name, and whether it is there; all have ten seconds to live.
fn told(received: &[Received]) -> Vec<(&str, bool)> {
    let resources = received.iter().flat_map(|received| &received.resources);
    let told = resources.map(|resource| {
        assert_eq!(resource.ttl, Some(TTL), "{}", resource.name);
        (resource.name.as_str(), !resource.body.is_empty())
    });
    told.collect()
}

#[test]
fn c58_a_heartbeat_comes_at_half_the_time_and_brings_nothing_new() {
    let mut life = Life::of(Protocol::Delta, &[layer("r", "1"), resource(RUNTIME, "s", "1")]);
    let first = life.ask(RUNTIME, &["r", "s"]);
    assert_eq!(first[0].find("r").map(|r| (r.ttl, r.content())), Some((Some(TTL), "1".into())));
    assert_eq!(first[0].find("s").map(|s| s.ttl), Some(None));
    assert_eq!(life.rests(), None, "the client has not said that it holds it");
    assert_eq!(life.answer(RUNTIME, None), []);
    assert_eq!(life.rests(), Some(TTL / 2));
    life.talk.news();

    for _ in 0..3 {
        assert_eq!(life.after(TTL / 2 - Duration::from_millis(1)), []);
        let beat = life.after(Duration::from_millis(1));
        assert_eq!(told(&beat), [("r", false)], "without a body, and of what has a time only");
        assert_eq!(beat[0].resources[0].version, first[0].resources[0].version);
        assert_eq!(life.rests(), None, "one response is under way");
        assert_eq!(life.answer(RUNTIME, None), []);
        assert_eq!(life.rests(), Some(TTL / 2));
    }
    assert_eq!(life.talk.news(), NOTHING, "nobody is told");
}

#[test]
fn c58_one_heartbeat_is_under_way_however_long_its_answer_takes() {
    for_both(|protocol| {
        let mut life = Life::of(protocol, &[layer("r", "1")]);
        life.ask(RUNTIME, &["r"]);
        life.answer(RUNTIME, None);
        assert_eq!(life.after(TTL / 2).len(), 1);
        for _ in 0..3 {
            assert_eq!(life.after(TTL), []);
        }
        assert_eq!(told(&life.answer(RUNTIME, None)).len(), 1, "the next one is late");
    });
}

#[test]
fn c58_a_client_that_does_not_know_of_times_is_not_told_of_them() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[layer("r", "1")]);
        assert_eq!(talk.ask(RUNTIME, &["r"]), ["runtime r=1"]);
        talk.ack(RUNTIME);
        assert_eq!(talk.session.wakes_at(), None);
        let outputs = talk.session.wake(NOW + 100 * TTL);
        assert_eq!(talk.hear(outputs), NOTHING);
    });
    let shared = snapshot(1, [layer("r", "1")]);
    for with_ttl in [true, false, true] {
        let mut session = Session::new(Protocol::Delta);
        if with_ttl {
            session = session.with_ttl();
        }
        session.on_snapshot(shared.clone(), NOW);
        let request = Request::Delta(proto::DeltaDiscoveryRequest {
            type_url: RUNTIME.type_url().to_owned(),
            resource_names_subscribe: vec!["r".into()],
            ..Default::default()
        });
        let outputs = session.on_request(request, NOW).expect("it is in order");
        let sent = outputs.iter().find_map(|output| match output {
            Output::Send(response) => Some(Received::read(response)),
            Output::Report(_) => None,
        });
        let ttl = sent.expect("it is there").resources[0].ttl;
        assert_eq!(ttl.is_some(), with_ttl, "the responses are not mixed up");
    }
}

#[test]
fn c58_what_is_no_longer_wanted_or_there_has_no_heartbeats() {
    for_both(|protocol| {
        let mut life = Life::of(protocol, &[layer("r", "1"), layer("s", "1")]);
        life.ask(RUNTIME, &["r", "s"]);
        life.answer(RUNTIME, None);
        assert_eq!(
            life.publish(2, &[layer("r", "1")]).len(),
            usize::from(protocol == Protocol::Delta)
        );
        life.answer(RUNTIME, None);
        assert_eq!(told(&life.after(TTL / 2)).len(), 1);
        life.answer(RUNTIME, None);
        life.talk.drop(RUNTIME, &["r", "s"]);
        assert_eq!(life.talk.session.wakes_at(), None);
        assert_eq!(life.after(TTL), []);
    });
}

#[test]
fn c58_a_change_takes_the_place_of_nothing_and_is_not_delayed() {
    for_both(|protocol| {
        let mut life = Life::of(protocol, &[layer("r", "1")]);
        life.ask(RUNTIME, &["r"]);
        life.answer(RUNTIME, None);
        assert_eq!(life.after(TTL / 2).len(), 1);
        assert_eq!(life.publish(2, &[layer("r", "2")]), [], "the heartbeat is under way");
        let changed = life.answer(RUNTIME, None);
        assert_eq!(changed[0].resources[0].content(), "2");
        assert_eq!(life.answer(RUNTIME, None), []);
        assert_eq!(life.talk.news().last().map(String::as_str), Some("!settled @2 []"));
    });
}

#[test]
fn c58_a_shorter_time_is_a_change() {
    for_both(|protocol| {
        let mut life = Life::of(protocol, &[layer("r", "1")]);
        life.ask(RUNTIME, &["r"]);
        life.answer(RUNTIME, None);
        let shorter = resource(RUNTIME, "r", "1").with_ttl(TTL / 5);
        let sent = life.publish(2, &[shorter]);
        assert_eq!(sent[0].resources[0].ttl, Some(TTL / 5));
        life.answer(RUNTIME, None);
        assert_eq!(life.rests(), Some(TTL / 10));
        let sent = life.publish(3, &[resource(RUNTIME, "r", "1")]);
        assert_eq!(sent[0].resources[0].ttl, None);
        life.answer(RUNTIME, None);
        assert_eq!(life.rests(), None);
    });
}

#[test]
fn c58_a_client_that_comes_back_is_told_at_once_to_keep_what_it_holds() {
    let held = layer("r", "1");
    let mut life = Life::of(Protocol::Delta, std::slice::from_ref(&held));
    life.now += 1000 * TTL;
    let request = Request::Delta(proto::DeltaDiscoveryRequest {
        type_url: RUNTIME.type_url().to_owned(),
        resource_names_subscribe: vec!["r".into()],
        initial_resource_versions: [("r".into(), held.version().to_string())].into(),
        ..Default::default()
    });
    let outputs = life.talk.session.on_request(request, life.now).expect("it is in order");
    let beat = life.hear(outputs);
    assert_eq!(told(&beat), [("r", false)], "c29: not the resource, but that it lives");
    assert_eq!(life.answer(RUNTIME, None), []);
    assert_eq!(life.rests(), Some(TTL / 2));
}

#[test]
fn c58_who_refuses_a_heartbeat_is_sent_the_resource() {
    let mut life = Life::of(Protocol::Delta, &[layer("r", "1")]);
    life.ask(RUNTIME, &["r"]);
    life.answer(RUNTIME, None);
    life.after(TTL / 2);
    // As Envoy does if it has dropped the resource already.
    let whole = life.answer(RUNTIME, Some("type URL does not match"));
    assert_eq!(told(&whole), [("r", true)]);
    assert_eq!(life.answer(RUNTIME, None), []);
    assert!(life.talk.session.held().next().is_none());
    assert_eq!(life.rests(), Some(TTL / 2));
}

#[test]
fn c58_of_what_was_refused_nobody_knows_what_is_held_so_it_has_no_heartbeats() {
    for_both(|protocol| {
        let mut life = Life::of(protocol, &[layer("r", "1"), layer("s", "1")]);
        life.ask(RUNTIME, &["r", "s"]);
        life.answer(RUNTIME, None);
        life.publish(2, &[layer("r", "2"), layer("s", "1")]);
        life.answer(RUNTIME, Some("r: no"));
        assert_eq!(told(&life.after(TTL / 2)).first().map(|told| told.0), Some("s"));
    });
}

#[test]
fn c58_a_virtual_host_lives_on_by_its_whole_self() {
    const V: ResourceType = ResourceType::VirtualHost;
    let host = resource(V, "r/web", "1").with_alias("r/web.example").with_ttl(TTL);
    let mut life = Life::of(Protocol::Delta, &[host]);
    life.ask(V, &["r/web.example"]);
    life.answer(V, None);
    let beat = life.after(TTL / 2);
    assert_eq!(told(&beat), [("r/web", true)], "an empty one would say that it is not there");
}

#[test]
fn c59_state_of_the_world_a_heartbeat_is_the_resource_again_with_the_same_version() {
    let mut life = Life::of(Protocol::Sotw, &[layer("r", "1"), resource(RUNTIME, "s", "1")]);
    let first = life.ask(RUNTIME, &["r", "s"]);
    assert_eq!(first[0].find("r").map(|r| r.ttl), Some(Some(TTL)), "it is wrapped");
    assert_eq!(first[0].find("s").map(|s| s.ttl), Some(None));
    life.answer(RUNTIME, None);
    life.talk.news();
    let beat = life.after(TTL / 2);
    assert_eq!(told(&beat), [("r", true)]);
    assert_eq!(beat[0].version, first[0].version);
    assert_eq!(life.answer(RUNTIME, None), []);
    assert_eq!(life.rests(), Some(TTL / 2));
    assert_eq!(life.talk.news(), NOTHING);
}

#[test]
fn c59_a_list_is_kept_alive_as_a_whole_or_the_rest_of_it_would_go() {
    let mut life = Life::of(Protocol::Sotw, &[plain("a", "1"), plain("b", "1").with_ttl(TTL)]);
    let first = life.ask(C, &[]);
    life.answer(C, None);
    life.talk.news();
    let beat = life.after(TTL / 2);
    assert_eq!(beat[0].resources, first[0].resources);
    assert_eq!(beat[0].version, first[0].version);
    assert_eq!(life.answer(C, None), []);
    assert_eq!(life.talk.news(), NOTHING);
}

#[test]
fn c59_a_list_with_substitutes_is_kept_alive_as_it_was_accepted() {
    let clusters = |a, b| [plain("a", a).with_ttl(TTL), plain("b", b)];
    let mut life = Life::of(Protocol::Sotw, &clusters("1", "1"));
    life.ask(C, &[]);
    life.answer(C, None);
    life.publish(2, &clusters("bad", "2"));
    let good = life.answer(C, Some("cluster a: no"));
    assert_eq!(life.answer(C, None), []);
    let beat = life.after(TTL / 2);
    let contents = beat[0].resources.iter().map(|r| (r.name.clone(), r.content()));
    assert_eq!(contents.collect::<Vec<_>>(), [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(beat[0].resources, good[0].resources);
    assert_eq!(beat[0].version, good[0].version);

    assert_eq!(life.answer(C, Some("no")), [], "it holds another: nothing is sent again");
    let beat = life.after(TTL / 2);
    assert_eq!(beat[0].resources, good[0].resources, "and what is held is kept alive");
}

#[test]
fn c58_what_is_under_way_to_keep_alive_does_not_count_as_sent() {
    let mut life = Life::of(Protocol::Delta, &[layer("r", "1")]);
    life.ask(RUNTIME, &["r"]);
    life.answer(RUNTIME, None);
    life.after(TTL / 2);
    let reports = life.talk.session.report();
    assert_eq!(reports[0].state, ResourceState::Acked);
    assert_eq!(life.publish(2, &[layer("r", "1")]), []);
    life.talk.news();
    life.answer(RUNTIME, None);
    assert_eq!(life.talk.news(), ["!settled @2 []"]);
}
