//! What is an answer, what a response may have in it, and when none is due.

use super::*;

/// The request that answers the response in flight of a type, as it stands.
fn answer(
    talk: &Talk,
    resource_type: ResourceType,
    version: &str,
    error: Option<proto::Status>,
) -> Request {
    let (type_url, nonce) = (resource_type.type_url().to_owned(), &talk.nonces[&resource_type]);
    match talk.protocol {
        Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
            version_info: version.to_owned(),
            type_url,
            response_nonce: nonce.clone(),
            error_detail: error,
            ..Default::default()
        }),
        Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
            type_url,
            response_nonce: nonce.clone(),
            error_detail: error,
            ..Default::default()
        }),
    }
}

#[test]
fn c5_only_an_error_detail_refuses() {
    for_both(|protocol| {
        let latest = snapshot(1, [plain("a", "1")]);
        let version = latest.version(C);
        let no = || Some(proto::Status::default());
        let table = [
            ("", None, "!acked cluster @1"),
            ("of long ago", None, "!acked cluster @1"),
            ("", no(), r#"!nacked cluster @1 ["a"] ["a"]"#),
            (&**version, no(), r#"!nacked cluster @1 ["a"] ["a"]"#),
        ];
        for (version, error, want) in table {
            let mut talk = Talk::with(protocol, &[plain("a", "1")]);
            talk.ask(C, &[]);
            let request = answer(&talk, C, version, error);
            assert_eq!(talk.request(request), NOTHING);
            assert_eq!(talk.news()[0], want, "{version:?} {protocol:?}");
        }
    });
}

#[test]
fn c10_an_answer_with_nothing_new_in_it_is_not_answered() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[plain("a", "1"), endpoint("a", "1")]);
        talk.ask(C, &[]);
        talk.ask(E, &["a"]);
        assert_eq!(talk.ack(C), NOTHING);
        assert_eq!(talk.nack(E, "no"), NOTHING);
        assert_eq!(talk.ack(C), NOTHING, "nor is one that comes twice");
    });
}

#[test]
fn c10_an_answer_that_asks_for_more_is_answered_with_that() {
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "1"), endpoint("b", "1")]);
    talk.ask(E, &["a"]);
    let nonce = talk.nonces[&E].clone();
    assert_eq!(talk.say(E, &nonce, &["b"], &[], None), ["endpoint b=1"]);
}

#[test]
fn c11_answers_of_different_types_may_come_in_any_order() {
    let orders =
        [[C, E, L, R], [R, L, E, C], [L, C, R, E], [E, R, C, L], [C, L, E, R], [R, E, L, C]];
    for_both(|protocol| {
        for order in orders {
            let all = |content: &str| {
                [
                    cluster("a", content),
                    endpoint("a", content),
                    listener("l", "r", content),
                    route("r", content),
                ]
            };
            let mut talk = Talk::with(protocol, &all("1"));
            talk.ask(C, &[]);
            talk.ask(E, &["a"]);
            talk.ask(L, &[]);
            talk.ask(R, &["r"]);
            assert_eq!(talk.publish(2, &all("2")), NOTHING);
            let mut lines: Vec<_> = order.into_iter().flat_map(|t| talk.ack(t)).collect();
            lines.sort();
            assert_eq!(lines, ["cluster a=2", "endpoint a=2", "listener l=2", "route r=2"]);
            // Endpoints that went before their cluster go once more after it: c45.
            let again: Vec<_> = order.into_iter().flat_map(|t| talk.ack(t)).collect();
            assert!(again.iter().all(|line| line == "endpoint a=2"), "{again:?}");
            assert_eq!(talk.ack(E), NOTHING);
            assert_eq!(talk.news().last().map(String::as_str), Some("!settled @2 []"));
        }
    });
}

#[test]
fn c20_what_nobody_asked_for_is_not_sent() {
    for_both(|protocol| {
        for resource_type in ResourceType::ALL {
            let of = |content: &str| ["a", "b"].map(|name| resource(resource_type, name, content));
            let mut talk = Talk::with(protocol, &of("1"));
            assert_eq!(talk.ask(resource_type, &["a"]), [format!("{resource_type} a=1")]);
            talk.ack(resource_type);
            assert_eq!(talk.publish(2, &of("2")), [format!("{resource_type} a=2")]);
            talk.ack(resource_type);
            let only_b = [resource(resource_type, "a", "2"), resource(resource_type, "b", "3")];
            assert_eq!(talk.publish(3, &only_b), NOTHING);
        }
    });
}

#[test]
fn c26_a_name_asked_for_in_many_ways_is_sent_once() {
    for_both(|protocol| {
        for resource_type in ResourceType::ALL {
            let mut talk = Talk::with(protocol, &[resource(resource_type, "a", "1")]);
            let line = format!("{resource_type} a=1");
            assert_eq!(talk.ask(resource_type, &["a", "*", "a", "*"]), [line]);
        }
    });
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "1")]);
    let asked = talk.say(E, "", &["gone", "a", "a", "gone"], &["a", "gone"], None);
    assert_eq!(asked, ["endpoint a=1 -gone"], "each name stands for one thing");
}

#[test]
fn c28_each_delta_resource_has_the_version_of_its_content() {
    let latest = snapshot(7, [plain("a", "1"), plain("b", "1")]);
    let mut session = Session::new(Protocol::Delta);
    session.on_snapshot(latest.clone(), NOW);
    let first =
        proto::DeltaDiscoveryRequest { type_url: C.type_url().into(), ..Default::default() };
    let outputs = session.on_request(Request::Delta(first), NOW).expect("in order");
    let received = outputs.into_iter().find_map(|output| match output {
        Output::Send(response) => Some(Received::read(&response)),
        Output::Report(_) => None,
    });
    let received = received.expect("it is answered");
    assert_eq!(received.version, **latest.version(C));
    for name in ["a", "b"] {
        let version = &received.find(name).expect("it is there").version;
        assert!(!version.is_empty());
        assert_eq!(**version, **latest.find(C, name).expect("it is there").version());
    }
}

#[test]
fn c49_clusters_are_pushed_no_faster_than_they_are_answered() {
    for_both(|protocol| {
        let of = |n: u64| [cluster("a", &n.to_string()), endpoint("a", "1")];
        let mut talk = Talk::with(protocol, &of(1));
        talk.ask_and_ack(C, &[]);
        talk.ask_and_ack(E, &["a"]);
        assert_eq!(talk.publish(2, &of(2)), ["cluster a=2", "endpoint a=1"]);
        for n in 3..100 {
            assert_eq!(talk.publish(n, &of(n)), NOTHING, "while the cluster warms");
            if n == 50 {
                assert_eq!(talk.ask(E, &["a"]).len(), 0, "and endpoints are under way");
            }
        }
        talk.ack(E);
        assert_eq!(talk.ack(C)[0], "cluster a=99");
    });
}

#[test]
fn c50_a_cluster_without_endpoints_is_sent_an_empty_list_of_them() {
    use crate::SnapshotError;

    let missing = Snapshot::new(1, [cluster("a", "1")]).expect_err("silence is no list");
    assert!(matches!(missing, SnapshotError::Missing { resource_type: E, .. }), "{missing}");
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[cluster("a", "1"), endpoint("a", "")]);
        talk.ask(C, &[]);
        assert_eq!(talk.ask(E, &["a"]), ["endpoint a="]);
    });
}

#[test]
fn c53_a_changed_listener_leaves_the_others_alone() {
    let of = |content: &str| [resource(L, "l1", content), resource(L, "l2", "1")];
    let mut talk = Talk::with(Protocol::Delta, &of("1"));
    talk.ask_and_ack(L, &[]);
    assert_eq!(talk.publish(2, &of("2")), ["listener l1=2"]);
}

#[test]
fn c54_a_rotated_secret_is_sent_alone_and_an_old_one_blocks_nobody() {
    for_both(|protocol| {
        let all = |secrets: &[(&str, &str)]| -> Vec<Resource> {
            let secrets = secrets.iter().map(|(name, content)| resource(S, name, content));
            secrets.chain([resource(L, "l", "1"), plain("a", "1")]).collect()
        };
        let mut talk = Talk::with(protocol, &all(&[("old", "1"), ("new", "1")]));
        talk.ask_and_ack(C, &[]);
        talk.ask_and_ack(L, &[]);
        talk.ask_and_ack(S, &["old", "new"]);
        let rotated = all(&[("old", "1"), ("new", "2")]);
        assert_eq!(talk.publish(2, &rotated), ["secret new=2"]);
        talk.ack(S);
        // A listener that drains still asks for the old one.
        assert_eq!(talk.publish(3, &all(&[("new", "3")])), ["secret new=3"]);
        talk.ack(S);
        assert_eq!(talk.publish(4, &all(&[("old", "4"), ("new", "3")])), ["secret old=4"]);
    });
}

#[test]
fn c61_whether_a_client_takes_the_good_or_nothing_the_good_reaches_it() {
    // gRPC clients apply what is right in a refused response, Envoy applies nothing.
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "bad"), endpoint("b", "1")]);
    talk.ask(E, &["a", "b"]);
    assert_eq!(talk.nack(E, "bad 'a'"), ["endpoint b=1"]);
    talk.ack(E);
    let back = [endpoint("a", "0"), endpoint("b", "1")];
    assert_eq!(talk.publish(2, &back), ["endpoint a=0"]);
}

#[test]
fn c62_a_client_that_keeps_what_is_gone_is_told_once() {
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "1"), resource(L, "l", "1")]);
    talk.ask_and_ack(C, &["a"]);
    talk.ask_and_ack(L, &["l"]);
    assert_eq!(talk.publish(2, &[]), ["listener -l"], "the cluster goes after it");
    assert_eq!(talk.ack(L), ["cluster -a"]);
    talk.ack(C);
    assert_eq!(talk.publish(3, &[]), NOTHING);
    let back = [plain("a", "1"), resource(L, "l", "1")];
    assert_eq!(talk.publish(4, &back), ["cluster a=1", "listener l=1"]);
}

#[test]
fn c63_all_four_types_come_and_as_one_tree() {
    for_both(|protocol| {
        let needy = route("r", "1").requiring(C, "a");
        let all =
            [listener("l", "r", "1").by_name_only(), needy, cluster("a", "1"), endpoint("a", "1")];
        let mut talk = Talk::with(protocol, &all);
        assert_eq!(talk.ask(L, &["l"]), ["listener l=1"]);
        assert_eq!(talk.ask(R, &["r"]), ["route r=1"]);
        assert_eq!(talk.ask(C, &["a"]), ["cluster a=1"]);
        assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
        [L, R, C, E].into_iter().for_each(|t| assert_eq!(talk.ack(t), NOTHING));
        assert_eq!(talk.news().last().map(String::as_str), Some("!settled @1 []"));
    });
}

#[test]
fn c64_every_stream_is_sent_the_bytes_that_were_hashed() {
    let latest = snapshot(1, [plain("a", "1")]);
    let stored = latest.find(C, "a").expect("it is there").clone();
    for_both(|protocol| {
        for _ in 0..2 {
            let mut talk = Talk::new(protocol);
            talk.session.on_snapshot(latest.clone(), NOW);
            let first = match protocol {
                Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                    type_url: C.type_url().into(),
                    ..Default::default()
                }),
                Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                    type_url: C.type_url().into(),
                    ..Default::default()
                }),
            };
            let outputs = talk.session.on_request(first, NOW).expect("in order");
            let sent = outputs.into_iter().find_map(|output| match output {
                Output::Send(response) => Some(Received::read(&response)),
                Output::Report(_) => None,
            });
            assert_eq!(sent.expect("it is sent").resources[0].body, stored.body());
        }
    });
}
