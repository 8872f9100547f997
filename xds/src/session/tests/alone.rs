//! A stream of one type alone, whose client asks for the rest elsewhere.

use super::*;

fn alone(protocol: Protocol, resources: &[Resource]) -> Talk {
    let mut talk = Talk { session: Session::alone(protocol), ..Talk::new(protocol) };
    assert_eq!(talk.publish(1, resources), NOTHING);
    talk
}

#[test]
fn a_stream_alone_settles_and_says_what_it_needs_from_elsewhere() {
    for_both(|protocol| {
        let endpoints = [endpoint("a", "1"), endpoint("b", "1")];
        let all = |content: &str| {
            [cluster("a", content), cluster("b", content)]
                .into_iter()
                .chain(endpoints.clone())
                .collect::<Vec<_>>()
        };
        let mut talk = alone(protocol, &all("1"));
        talk.ask(C, &[]);
        talk.ack(C);
        let needs = "!needs endpoint/a endpoint/b";
        assert_eq!(talk.news(), ["!acked cluster @1", needs, "!settled @1 []"]);

        // What it needs is said again only if that has changed.
        talk.publish(2, &all("2"));
        talk.ack(C);
        assert_eq!(talk.news(), ["!acked cluster @2", "!settled @2 []"]);
        talk.publish(3, &[cluster("b", "2"), endpoint("b", "1")]);
        talk.ack(C);
        assert_eq!(talk.news(), ["!acked cluster @3", "!needs endpoint/b", "!settled @3 []"]);
    });
}

#[test]
fn a_stream_alone_needs_nothing_for_what_is_refused() {
    for_both(|protocol| {
        let mut talk = alone(protocol, &[listener("l", "r", "1"), route("r", "1")]);
        talk.ask(L, &[]);
        talk.nack(L, "Error adding/updating listener(s) l: no");
        assert_eq!(talk.news(), [r#"!nacked listener @1 ["l"] ["l"]"#, "!settled @1 [Listener]"]);
    });
}

#[test]
fn a_stream_alone_whose_resources_need_nothing_says_nothing_of_it() {
    for_both(|protocol| {
        let mut talk = alone(protocol, &[endpoint("a", "1")]);
        talk.ask(E, &["a"]);
        talk.ack(E);
        assert_eq!(talk.news(), ["!acked endpoint @1", "!settled @1 []"]);
    });
}

#[test]
fn a_request_says_what_it_asks_for_by_name() {
    let names = vec!["a".to_owned(), "b".to_owned()];
    let sotw = proto::DiscoveryRequest { resource_names: names.clone(), ..Default::default() };
    let delta = proto::DeltaDiscoveryRequest {
        resource_names_subscribe: names.clone(),
        resource_names_unsubscribe: vec!["c".to_owned()],
        ..Default::default()
    };
    assert_eq!(Request::Sotw(sotw).names(), names);
    assert_eq!(Request::Delta(delta).names(), names);
}
