//! State of the world: what is complete, and what a full list of names means.

use super::*;

fn talk(resources: &[Resource]) -> Talk {
    Talk::with(Protocol::Sotw, resources)
}

#[test]
fn c1_a_first_request_is_answered_whatever_version_it_holds() {
    let resources = [plain("a", "1")];
    let mut talk = talk(&resources);
    let version = snapshot(1, resources).version(C).to_string();
    let first = Request::Sotw(proto::DiscoveryRequest {
        version_info: version,
        type_url: C.type_url().into(),
        ..Default::default()
    });
    assert_eq!(talk.request(first), ["cluster a=1"]);
}

#[test]
fn c1_a_client_that_forgets_its_nonce_starts_over() {
    let mut talk = talk(&[route("r", "1")]);
    talk.ask_and_ack(R, &["r"]);
    assert_eq!(talk.say(R, "", &[], &[], None), ["route r=1"]);
}

#[test]
fn c3_a_stale_request_counts_for_names_but_repeats_nothing() {
    let mut talk = talk(&[route("a", "1"), route("b", "1")]);
    talk.ask_and_ack(R, &["a"]);
    let stale = talk.nonces[&R].clone();
    assert_eq!(talk.publish(2, &[route("a", "2"), route("b", "1")]), ["route a=2"]);
    talk.names.entry(R).or_default().insert("b".into());
    assert_eq!(talk.say(R, &stale, &[], &[], None), NOTHING);
    assert_eq!(talk.say(R, &stale, &[], &[], None), NOTHING);
    assert_eq!(talk.ack(R), ["route b=1"]);
}

#[test]
fn c3_a_stale_refusal_refuses_nothing() {
    let mut talk = talk(&[route("a", "1")]);
    talk.ask_and_ack(R, &["a"]);
    let stale = talk.nonces[&R].clone();
    assert_eq!(talk.publish(2, &[route("a", "2")]), ["route a=2"]);
    talk.news();
    assert_eq!(talk.say(R, &stale, &[], &[], Some("a: no")), NOTHING);
    assert_eq!(talk.news(), NOTHING);
    assert_eq!(talk.ack(R), NOTHING);
}

#[test]
fn c10_an_ack_that_also_adds_a_name_is_answered() {
    for (resource_type, want) in [(R, "route b=1"), (L, "listener a=1 b=1")] {
        let mut talk =
            talk(&[resource(resource_type, "a", "1"), resource(resource_type, "b", "1")]);
        talk.ask(resource_type, &["a"]);
        talk.names.entry(resource_type).or_default().insert("b".into());
        assert_eq!(talk.ack(resource_type), [want]);
    }
}

#[test]
fn c13_a_name_that_comes_back_is_sent_again() {
    for (resource_type, want) in [(R, "route a=1"), (C, "cluster a=1 b=1")] {
        let mut talk =
            talk(&[resource(resource_type, "a", "1"), resource(resource_type, "b", "1")]);
        talk.ask_and_ack(resource_type, &["a", "b"]);
        assert_eq!(talk.drop(resource_type, &["a"]), NOTHING);
        assert_eq!(talk.ask(resource_type, &["a"]), [want]);
    }
}

#[test]
fn c13_a_name_that_goes_and_comes_back_in_flight_is_sent_again() {
    let mut talk = talk(&[route("a", "1"), route("b", "1")]);
    assert_eq!(talk.ask(R, &["a", "b"]), ["route a=1 b=1"]);
    let nonce = std::mem::take(&mut talk.nonces).remove(&R).expect("a nonce");
    assert_eq!(talk.drop(R, &["a"]), NOTHING);
    assert_eq!(talk.ask(R, &["a"]), NOTHING);
    assert_eq!(talk.say(R, &nonce, &[], &[], None), ["route a=1"]);
}

#[test]
fn c14_no_names_after_names_mean_nothing() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    talk.ask_and_ack(C, &["a"]);
    assert_eq!(talk.drop(C, &["a"]), NOTHING);
    assert_eq!(talk.publish(2, &[plain("a", "2"), plain("b", "2")]), NOTHING);
    assert_eq!(talk.ask(C, &["b"]), ["cluster b=2"]);
}

#[test]
fn c14_no_names_from_the_start_mean_everything() {
    let mut talk = talk(&[plain("a", "1")]);
    talk.ask_and_ack(C, &[]);
    assert_eq!(talk.publish(2, &[plain("b", "1")]), ["cluster b=1"]);
}

#[test]
fn c15_a_star_means_everything_until_it_is_dropped() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    assert_eq!(talk.ask(C, &["*", "a"]), ["cluster a=1 b=1"]);
    talk.ack(C);
    assert_eq!(talk.drop(C, &["*"]), NOTHING);
    assert_eq!(talk.publish(2, &[plain("a", "2"), plain("b", "2")]), ["cluster a=2"]);
}

#[test]
fn c20_a_type_nobody_asks_for_any_more_is_not_waited_for() {
    let mut talk = talk(&[endpoint("a", "1")]);
    talk.ask_and_ack(E, &["a"]);
    let last_heard = talk.nonces[&E].clone();
    assert_eq!(talk.publish(2, &[endpoint("a", "2")]), ["endpoint a=2"]);
    // Envoy drops a response that nothing watches: it will not be answered.
    assert_eq!(talk.drop(E, &["a"]), NOTHING);
    talk.names.entry(E).or_default().insert("a".into());
    assert_eq!(talk.say(E, &last_heard, &[], &[], None), ["endpoint a=2"]);
}

#[test]
fn c21_names_that_are_all_absent_are_not_answered_if_lists_are_partial() {
    let mut talk = talk(&[]);
    assert_eq!(talk.ask(R, &["r"]), NOTHING);
    assert_eq!(talk.ask(L, &["l"]), ["listener"]);
    assert_eq!(talk.publish(2, &[route("r", "1")]), ["route r=1"]);
}

#[test]
fn c23_one_changed_cluster_sends_all() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    talk.ask_and_ack(C, &[]);
    assert_eq!(talk.publish(2, &[plain("a", "1"), plain("b", "2")]), ["cluster a=1 b=2"]);
    talk.ack(C);
    assert_eq!(talk.publish(3, &[plain("a", "1")]), ["cluster a=1"]);
}

#[test]
fn c24_one_changed_route_is_sent_alone_and_a_gone_one_not_at_all() {
    let mut talk = talk(&[route("a", "1"), route("b", "1")]);
    talk.ask_and_ack(R, &["a", "b"]);
    assert_eq!(talk.publish(2, &[route("a", "1"), route("b", "2")]), ["route b=2"]);
    talk.ack(R);
    assert_eq!(talk.publish(3, &[route("a", "1")]), NOTHING);
    assert_eq!(talk.publish(4, &[route("a", "1"), route("b", "2")]), ["route b=2"]);
}

#[test]
fn c25_an_empty_list_is_sent_once_a_snapshot_says_so() {
    let mut talk = talk(&[]);
    assert_eq!(talk.ask(C, &[]), ["cluster"]);
    talk.ack(C);
    assert_eq!(talk.publish(2, &[plain("a", "1")]), ["cluster a=1"]);
    talk.ack(C);
    assert_eq!(talk.publish(3, &[]), ["cluster"]);
}

#[test]
fn c27_the_version_on_the_wire_is_the_snapshots_and_not_its_revision() {
    let version = |revision| {
        let mut session = Session::new(Protocol::Sotw);
        session.on_snapshot(snapshot(revision, [plain("a", "1")]), NOW);
        let first = proto::DiscoveryRequest { type_url: C.type_url().into(), ..Default::default() };
        let outputs = session.on_request(Request::Sotw(first), NOW).expect("in order");
        outputs.into_iter().find_map(|output| match output {
            Output::Send(response) => Some(Received::read(&response).version),
            Output::Report(_) => None,
        })
    };
    assert_eq!(version(1), version(2));
    assert_eq!(version(1).as_deref(), Some(&**snapshot(3, [plain("a", "1")]).version(C)));
}
