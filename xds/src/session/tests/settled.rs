//! When a stream has nothing more to say about a revision.

use super::*;

fn all(content: &str) -> [Resource; 4] {
    [
        cluster("a", content),
        endpoint("a", content),
        listener("l", "r", content),
        route("r", content),
    ]
}

#[test]
fn a_stream_settles_when_everything_required_is_asked_for_and_accepted() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &all("1"));
        talk.ask(C, &[]);
        talk.ack(C);
        assert_eq!(talk.news(), ["!acked cluster @1"], "the endpoints are not asked for");
        talk.ask(E, &["a"]);
        talk.ask(L, &[]);
        talk.ack(E);
        talk.ack(L);
        assert_eq!(talk.news(), ["!acked endpoint @1", "!acked listener @1"]);
        talk.ask(R, &["r"]);
        talk.ack(R);
        assert_eq!(talk.news(), ["!acked route @1", "!settled @1 []"]);
    });
}

#[test]
fn a_revision_that_changes_nothing_settles_at_once_and_once() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1")]);
        talk.ask_and_ack(C, &[]);
        talk.news();
        assert_eq!(talk.publish(2, &[plain("a", "1")]), NOTHING);
        assert_eq!(talk.news(), ["!settled @2 []"]);
        talk.ask(R, &[]);
        talk.ack(C);
        assert_eq!(talk.news(), NOTHING);
    });
}

#[test]
fn a_change_that_the_client_did_not_ask_for_counts_as_accepted() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[route("r", "1")]);
        talk.ask_and_ack(R, &["r"]);
        talk.news();
        assert_eq!(talk.publish(2, &[route("r", "1"), route("other", "1")]), NOTHING);
        assert_eq!(talk.news(), ["!acked route @2", "!settled @2 []"]);
    });
}

#[test]
fn a_stream_in_flight_is_not_settled() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1")]);
        talk.ask_and_ack(C, &[]);
        talk.news();
        talk.publish(2, &[plain("a", "2")]);
        assert_eq!(talk.publish(3, &[plain("a", "2")]), NOTHING);
        assert_eq!(talk.news(), NOTHING);
        talk.ack(C);
        assert_eq!(talk.news(), ["!acked cluster @2", "!settled @3 []"]);
    });
}

#[test]
fn what_a_refused_resource_requires_is_not_waited_for() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &all("1"));
        talk.ask(L, &[]);
        talk.nack(L, "Error adding/updating listener(s) l: no");
        let nacked = r#"!nacked listener @1 ["l"] ["l"]"#;
        assert_eq!(talk.news(), [nacked, "!settled @1 [Listener]"]);
    });
}

#[test]
fn a_stream_that_has_asked_for_nothing_is_not_settled() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &all("1"));
        assert_eq!(talk.news(), NOTHING);
        talk.publish(2, &all("2"));
        assert_eq!(talk.news(), NOTHING);
    });
}
