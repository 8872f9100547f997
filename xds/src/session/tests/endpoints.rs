//! Endpoints follow their clusters, unasked: Envoy waits for them.

use super::*;

fn both(cluster_content: &str) -> [Resource; 4] {
    [cluster("a", cluster_content), cluster("b", "1"), endpoint("a", "1"), endpoint("b", "1")]
}

fn talk(protocol: Protocol) -> Talk {
    let mut talk = Talk::with(protocol, &both("1"));
    talk.ask_and_ack(C, &[]);
    talk.ask_and_ack(E, &["a", "b"]);
    talk
}

#[test]
fn c45_a_changed_cluster_repeats_its_endpoints() {
    let mut delta = talk(Protocol::Delta);
    assert_eq!(delta.publish(2, &both("2")), ["cluster a=2", "endpoint a=1"]);
    let mut sotw = talk(Protocol::Sotw);
    assert_eq!(sotw.publish(2, &both("2")), ["cluster a=2 b=1", "endpoint a=1"]);
}

#[test]
fn c45_c46_endpoints_repeated_do_not_wait_for_the_ack_of_the_clusters() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        talk.publish(2, &both("2"));
        assert_eq!(talk.ack(E), NOTHING);
        assert_eq!(talk.ack(C), NOTHING);
        assert_eq!(talk.news().last().map(String::as_str), Some("!settled @2 []"));
    });
}

#[test]
fn c45_endpoints_in_flight_are_repeated_right_after_their_answer() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        let [a, b, .., e] = both("1");
        let moved = [a, b, endpoint("a", "2"), e.clone()];
        assert_eq!(talk.publish(2, &moved), ["endpoint a=2"]);
        let changed = [cluster("a", "2"), cluster("b", "1"), endpoint("a", "2"), e];
        assert_eq!(talk.publish(3, &changed).len(), 1, "only the clusters");
        assert_eq!(talk.ack(E), ["endpoint a=2"]);
        assert_eq!(talk.ack(E), NOTHING);
    });
}

#[test]
fn c45_sotw_asking_again_for_what_was_just_repeated_is_not_answered_twice() {
    let mut talk = talk(Protocol::Sotw);
    let last_acked = talk.nonces[&E].clone();
    assert_eq!(talk.publish(2, &both("2")).len(), 2);
    assert_eq!(talk.say(E, &last_acked, &[], &[], None), NOTHING);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn c45_endpoints_not_asked_for_are_not_sent() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &both("1"));
        talk.ask_and_ack(C, &[]);
        talk.ask_and_ack(E, &["b"]);
        assert_eq!(talk.publish(2, &both("2")).len(), 1, "only the clusters");
        assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
    });
}

#[test]
fn c46_endpoints_asked_for_before_the_ack_of_the_clusters_are_sent() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &both("1"));
        assert_eq!(talk.ask(C, &[]), ["cluster a=1 b=1"]);
        assert_eq!(talk.ask(E, &["a", "b"]), ["endpoint a=1 b=1"]);
    });
}

#[test]
fn c51_a_cluster_that_comes_back_gets_its_endpoints_again() {
    for_both(|protocol| {
        let mut talk = talk(protocol);
        let without = [cluster("b", "1"), endpoint("b", "1")];
        for line in talk.publish(2, &without) {
            talk.ack(if line.starts_with("cluster") { C } else { E });
        }
        let lines = talk.publish(3, &both("1"));
        assert_eq!(lines.last().map(String::as_str), Some("endpoint a=1"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    });
}
