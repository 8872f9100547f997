//! Clusters come before what uses them, and go after it.

use std::time::Duration;

use super::*;

/// A route configuration that sends to these clusters.
fn route_to(name: &str, content: &str, clusters: &[&str]) -> Resource {
    clusters.iter().fold(route(name, content), |route, cluster| route.requiring(C, *cluster))
}

fn old() -> [Resource; 4] {
    [cluster("a", "1"), endpoint("a", "1"), listener("l", "r", "1"), route_to("r", "1", &["a"])]
}

/// `b` takes the place of `a`.
fn new() -> [Resource; 4] {
    [cluster("b", "1"), endpoint("b", "1"), listener("l", "r", "1"), route_to("r", "2", &["b"])]
}

fn talk(protocol: Protocol) -> Talk {
    let mut talk = Talk::with(protocol, &old());
    talk.ask_and_ack(C, &[]);
    talk.ask_and_ack(E, &["a"]);
    talk.ask_and_ack(L, &[]);
    talk.ask_and_ack(R, &["r"]);
    talk.news();
    talk
}

#[test]
fn c47_a_route_waits_until_its_new_cluster_is_acked() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        let both = [&old()[..2], &new()[..2], &[listener("l", "r", "1")]].concat();
        let all = [both, vec![route_to("r", "2", &["a", "b"])]].concat();
        assert_eq!(talk.publish(2, &all).len(), 1, "the clusters, and no route yet");
        assert!(talk.session.is_gated());
        assert_eq!(talk.ask(E, &["b"]).len(), 1, "endpoints do not wait");
        assert_eq!(talk.ack(E), NOTHING);
        assert_eq!(talk.ack(C), ["route r=2"]);
        assert!(!talk.session.is_gated());
    });
}

#[test]
fn c47_a_route_to_clusters_that_are_there_does_not_wait() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        let changed = [
            cluster("a", "2"),
            endpoint("a", "1"),
            listener("l", "r", "1"),
            route_to("r", "2", &["a"]),
        ];
        assert_eq!(
            talk.publish(2, &changed),
            ["cluster a=2", "endpoint a=1", "route r=2"],
            "the cluster is only changed"
        );
    });
}

#[test]
fn c47_a_route_waits_for_a_cluster_that_is_asked_for_in_flight() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1"), plain("b", "1")]);
        talk.ask(C, &["a"]);
        talk.ask(R, &["r"]);
        let old_nonce = talk.nonces[&C].clone();
        talk.names.entry(C).or_default().insert("b".into());
        assert_eq!(talk.say(C, "", &["b"], &[], None), NOTHING, "one at a time");
        let with_route = [plain("a", "1"), plain("b", "1"), route_to("r", "1", &["b"])];
        assert_eq!(talk.publish(2, &with_route), NOTHING);
        assert!(talk.session.is_gated());
        assert_eq!(talk.say(C, &old_nonce, &[], &[], None).len(), 1, "b, and no route yet");
        assert_eq!(talk.ack(C), ["route r=1"]);
    });
}

#[test]
fn c47_a_route_does_not_wait_for_ever() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        talk.publish(2, &new());
        let outputs = talk.session.lift_gate(NOW);
        assert_eq!(talk.hear(outputs), ["route r=2"]);
        assert_eq!(talk.news().last().map(String::as_str), Some("!overdue @2"));
        let outputs = talk.session.lift_gate(NOW);
        assert_eq!(talk.hear(outputs), NOTHING, "there is nothing to lift any more");
    });
}

#[test]
fn c47_a_refused_cluster_holds_up_no_route() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        talk.publish(2, &new());
        assert_eq!(talk.nack(C, "no"), ["route r=2"]);
    });
}

#[test]
fn c48_a_cluster_goes_after_the_route_that_used_it() {
    let mut talk = talk(Protocol::Delta);
    assert_eq!(talk.publish(2, &new()), ["cluster b=1"]);
    assert_eq!(talk.ask(E, &["b"]), ["endpoint b=1"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.ack(C), ["route r=2"]);
    assert_eq!(talk.ack(R), ["cluster -a", "endpoint -a"]);
    assert_eq!(talk.drop(E, &["a"]), NOTHING);
    talk.news();
    assert_eq!(talk.ack(C), NOTHING);
    talk.ack(E);
    assert_eq!(talk.news().last().map(String::as_str), Some("!settled @2 []"));
}

#[test]
fn c48_a_list_keeps_a_cluster_until_the_route_is_acked() {
    let mut talk = talk(Protocol::Sotw);
    assert_eq!(talk.publish(2, &new()), ["cluster a=1 b=1"]);
    assert_eq!(talk.ask(E, &["b"]), ["endpoint b=1"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.ack(C), ["route r=2"]);
    assert_eq!(talk.ack(R), ["cluster b=1"]);
    talk.news();
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.news().last().map(String::as_str), Some("!settled @2 []"));
}

#[test]
fn c27_a_list_that_keeps_a_cluster_has_a_version_of_its_own() {
    let mut talk = talk(Protocol::Sotw);
    let version = |outputs: &[Output]| -> Vec<String> {
        let version = |output: &Output| match output {
            Output::Send(response) => Some(Received::read(response).version),
            Output::Report(_) => None,
        };
        outputs.iter().filter_map(version).collect()
    };
    let next = snapshot(2, new());
    let outputs = talk.session.on_snapshot(next.clone(), NOW);
    let told = version(&outputs);
    assert_ne!(told, [next.version(C).to_string()]);
    let both = [&old()[..2], &new()[..2]].concat();
    let both = snapshot(3, both);
    assert_eq!(told, [both.version(C).to_string()], "it goes by what is in the list");
}

#[test]
fn c48_a_list_that_only_loses_a_cluster_waits_for_the_routes() {
    let mut talk = talk(Protocol::Sotw);
    let without = [listener("l", "r", "1"), route("r", "2")];
    assert_eq!(talk.publish(2, &without), ["route r=2"]);
    assert_eq!(talk.ack(R), ["cluster"]);
}

#[test]
fn c48_a_cluster_stays_while_the_route_without_it_is_refused() {
    let mut talk = talk(Protocol::Delta);
    let without = [listener("l", "r", "1"), route("r", "2")];
    assert_eq!(talk.publish(2, &without), ["route r=2"]);
    assert_eq!(talk.nack(R, "no"), NOTHING);
    let mended = [listener("l", "r", "1"), route("r", "3")];
    assert_eq!(talk.publish(3, &mended), ["route r=3"]);
    assert_eq!(talk.ack(R), ["cluster -a", "endpoint -a"]);
}

#[test]
fn c48_what_nobody_routes_goes_at_once() {
    let mut talk = Talk::with(Protocol::Delta, &old());
    talk.ask_and_ack(C, &[]);
    assert_eq!(talk.publish(2, &[]), ["cluster -a"], "a stream without routes");
}

/// A session that keeps what is gone for a time of grace.
fn graceful(protocol: Protocol) -> Talk {
    let mut talk = Talk::new(protocol);
    talk.session = Session::new(protocol).with_grace();
    assert_eq!(talk.publish(1, &old()), NOTHING);
    talk.ask_and_ack(C, &[]);
    talk.ask_and_ack(E, &["a"]);
    talk.ask_and_ack(L, &[]);
    talk.ask_and_ack(R, &["r"]);
    talk.news();
    talk
}

#[test]
fn c48_a_time_of_grace_begins_with_the_ack_of_the_routes() {
    for_both(|protocol| {
        let mut talk = graceful(protocol);
        let without = [listener("l", "r", "1"), route("r", "2")];
        assert_eq!(talk.publish(2, &without), ["route r=2"]);
        assert!(!talk.session.is_in_grace(), "the route is still on its way");
        let outputs = talk.session.end_grace(NOW);
        assert_eq!(talk.hear(outputs), NOTHING, "so there is nothing to end");
        assert_eq!(talk.ack(R), NOTHING, "requests may be under way");
        assert!(talk.session.is_in_grace());
        let outputs = talk.session.end_grace(NOW);
        let gone: &[&str] = match protocol {
            Protocol::Sotw => &["cluster"],
            Protocol::Delta => &["cluster -a", "endpoint -a"],
        };
        assert_eq!(talk.hear(outputs), gone);
        assert!(!talk.session.is_in_grace());
    });
}

#[test]
fn c48_what_is_removed_after_the_grace_has_the_time_of_its_end() {
    for_both(|protocol| {
        let mut talk = graceful(protocol);
        talk.publish(2, &[listener("l", "r", "1"), route("r", "2")]);
        talk.ack(R);
        let later = NOW + Duration::from_secs(7);
        let outputs = talk.session.end_grace(later);
        talk.hear(outputs);
        let clusters = talk.session.lane(C).expect("it was asked for");
        assert_eq!(clusters.sent_at(), Some(later));
    });
}

#[test]
fn c48_what_comes_back_in_the_time_of_grace_never_went() {
    for_both(|protocol| {
        let mut talk = graceful(protocol);
        talk.publish(2, &[listener("l", "r", "1"), route("r", "2")]);
        talk.ack(R);
        assert!(talk.session.is_in_grace());
        let lines = talk.publish(3, &old());
        // Of endpoints in part nobody is told that they go, so they come anew.
        assert_eq!(lines.last().map(String::as_str), Some("route r=1"));
        assert!(!lines.iter().any(|line| line.starts_with("cluster")), "{lines:?}");
        assert!(!talk.session.is_in_grace());
        assert_eq!(talk.ack(R), NOTHING);
        let outputs = talk.session.end_grace(NOW);
        assert_eq!(talk.hear(outputs), NOTHING);
    });
}

#[test]
fn c48_one_grace_is_for_one_removal() {
    for_both(|protocol| {
        let mut talk = graceful(protocol);
        talk.publish(2, &new());
        talk.ask(E, &["b"]);
        talk.ack(E);
        talk.ack(C);
        talk.ack(R);
        assert!(talk.session.is_in_grace(), "a goes");
        let outputs = talk.session.end_grace(NOW);
        assert!(!talk.hear(outputs).is_empty());
        talk.ack(C);
        if protocol == Protocol::Delta {
            talk.ack(E);
        }
        assert_eq!(talk.publish(3, &[listener("l", "r", "1"), route("r", "3")]), ["route r=3"]);
        assert_eq!(talk.ack(R), NOTHING, "b has a time of its own");
        assert!(talk.session.is_in_grace());
    });
}

#[test]
fn c51_a_cluster_that_comes_back_before_it_went_is_not_sent_again() {
    let mut talk = talk(Protocol::Delta);
    let without = [listener("l", "r", "1"), route("r", "2")];
    assert_eq!(talk.publish(2, &without), ["route r=2"]);
    talk.publish(3, &old());
    assert_eq!(talk.ack(R), ["route r=1"]);
    assert_eq!(talk.ack(R), NOTHING);
}
