//! What is refused is held, whoever is not to blame goes on.

use super::*;

const VAGUE: &str = "INTERNAL: no";

#[test]
fn c6_a_refused_list_is_parked_until_it_is_another() {
    let mut talk = Talk::with(Protocol::Sotw, &[plain("a", "1"), plain("b", "1")]);
    talk.ask_and_ack(C, &[]);
    let bad = [plain("a", "bad"), plain("b", "1")];
    assert_eq!(talk.publish(2, &bad), ["cluster a=bad b=1"]);
    talk.news();
    assert_eq!(talk.nack(C, "Error adding/updating cluster(s) a: no"), NOTHING);
    let nacked = r#"!nacked cluster @2 ["a", "b"] ["a"]"#;
    assert_eq!(talk.news(), [nacked, "!settled @2 [Cluster]"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.publish(3, &bad), NOTHING);
    assert_eq!(talk.publish(4, &[plain("a", "2"), plain("b", "1")]), ["cluster a=2 b=1"]);
}

#[test]
fn c6_what_was_refused_in_part_is_sent_again_when_it_is_taken_back() {
    for_both(|protocol| {
        let before = [plain("a", "1"), plain("b", "1")];
        let mut talk = Talk::with(protocol, &before);
        talk.ask_and_ack(C, &[]);
        talk.publish(2, &[plain("a", "bad"), plain("b", "2")]);
        let again = talk.nack(C, VAGUE);
        // The client may have applied b=2 all the same.
        match protocol {
            Protocol::Sotw => {
                assert_eq!(again, ["cluster a=bad b=1"]);
                assert_eq!(talk.publish(3, &before), NOTHING);
                assert_eq!(talk.nack(C, VAGUE), ["cluster a=1 b=1"]);
                assert_eq!(talk.ack(C), NOTHING);
            }
            Protocol::Delta => {
                assert_eq!(again, ["cluster a=bad"]);
                assert_eq!(talk.publish(3, &before), NOTHING);
                assert_eq!(talk.nack(C, VAGUE), ["cluster b=1"]);
                assert_eq!(talk.ack(C), ["cluster a=1"]);
            }
        }
    });
}

#[test]
fn c7_a_refusal_may_ask_for_more_names() {
    for_both(|protocol| {
        for resource_type in [E, R, S] {
            let all = [resource(resource_type, "a", "1"), resource(resource_type, "b", "1")];
            let mut talk = Talk::with(protocol, &all);
            talk.ask(resource_type, &["a"]);
            talk.names.entry(resource_type).or_default().insert("b".into());
            let nonce = talk.nonces[&resource_type].clone();
            let lines = talk.say(resource_type, &nonce, &["b"], &[], Some(VAGUE));
            assert_eq!(lines, [format!("{resource_type} b=1")]);
        }
    });
}

#[test]
fn c7_a_refused_list_with_another_name_is_another_list() {
    let mut talk = Talk::with(Protocol::Sotw, &[plain("a", "1"), plain("b", "1")]);
    talk.ask(C, &["a"]);
    talk.names.entry(C).or_default().insert("x".into());
    assert_eq!(talk.nack(C, VAGUE), ["cluster"], "there is no x, and a is refused");
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.ask(C, &["b"]), ["cluster b=1"]);
}

#[test]
fn culprits_are_held_and_the_others_go_on() {
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "bad"), plain("b", "1")]);
    assert_eq!(talk.ask(C, &[]), ["cluster a=bad b=1"]);
    assert_eq!(talk.nack(C, "Error adding/updating cluster(s) a: no"), ["cluster b=1"]);
    assert_eq!(talk.ack(C), NOTHING);
    let nacked = r#"!nacked cluster @1 ["a", "b"] ["a"]"#;
    assert_eq!(talk.news(), [nacked, "!acked cluster @1", "!settled @1 [Cluster]"]);

    assert_eq!(talk.publish(2, &[plain("a", "bad"), plain("b", "2")]), ["cluster b=2"]);
    talk.ack(C);
    assert_eq!(talk.publish(3, &[plain("a", "2"), plain("b", "2")]), ["cluster a=2"]);
    talk.news();
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.news(), ["!acked cluster @3", "!settled @3 []"]);
}

#[test]
fn c5_a_refused_response_is_taken_apart_until_the_culprit_is_found() {
    let all = ["a", "b", "c", "d"].map(|name| route(name, if name == "c" { "bad" } else { "1" }));
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &all);
        assert_eq!(talk.ask(R, &["a", "b", "c", "d"]), ["route a=1 b=1 c=bad d=1"]);
        assert_eq!(talk.nack(R, VAGUE), ["route a=1 b=1"]);
        assert_eq!(talk.ack(R), ["route c=bad d=1"]);
        assert_eq!(talk.nack(R, VAGUE), ["route c=bad"]);
        talk.news();
        assert_eq!(talk.nack(R, VAGUE), ["route d=1"]);
        assert_eq!(talk.news(), [r#"!nacked route @1 ["c"] ["c"]"#]);
        assert_eq!(talk.ack(R), NOTHING);
        assert_eq!(talk.news(), ["!acked route @1", "!settled @1 [Route]"]);

        let mut mended = all.clone();
        mended[2] = route("c", "2");
        assert_eq!(talk.publish(2, &mended), ["route c=2"]);
        assert_eq!(talk.ack(R), NOTHING);
        assert_eq!(talk.news(), ["!acked route @2", "!settled @2 []"]);
    });
}

#[test]
fn while_a_culprit_is_searched_it_is_said_so() {
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "1"), plain("b", "1")]);
    talk.ask(C, &[]);
    talk.nack(C, VAGUE);
    assert_eq!(talk.news(), [r#"!nacked cluster @1 ["a", "b"] [] searching"#]);
}

#[test]
fn what_changes_during_a_search_goes_on_after_it() {
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "bad"), endpoint("b", "1")]);
    talk.ask(E, &["a", "b", "c"]);
    assert_eq!(talk.nack(E, VAGUE), ["endpoint a=bad b=1"], "and not -c");
    let next = [endpoint("a", "2"), endpoint("b", "1"), endpoint("c", "1")];
    assert_eq!(talk.publish(2, &next), NOTHING);
    assert_eq!(talk.nack(E, VAGUE), ["endpoint a=2"]);
    assert_eq!(talk.ack(E), ["endpoint b=1"]);
    assert_eq!(talk.ack(E), ["endpoint c=1"]);
    assert_eq!(talk.ack(E), NOTHING);
}

#[test]
fn a_removal_that_was_refused_is_said_again_once_it_is_another() {
    let both = [endpoint("a", "1"), endpoint("b", "1")];
    let mut talk = Talk::with(Protocol::Delta, &both);
    talk.ask_and_ack(E, &["a", "b"]);
    assert_eq!(talk.publish(2, &both[1..]), ["endpoint -a"]);
    assert_eq!(talk.nack(E, VAGUE), NOTHING);
    assert_eq!(talk.publish(3, &[endpoint("a", "2"), endpoint("b", "1")]), ["endpoint a=2"]);
}

#[test]
fn a_name_dropped_during_a_search_is_not_tried() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[route("a", "1"), route("b", "1")]);
        talk.ask(R, &["a", "b"]);
        assert_eq!(talk.nack(R, VAGUE), ["route a=1"]);
        assert_eq!(talk.drop(R, &["b"]), NOTHING);
        assert_eq!(talk.ack(R), NOTHING);
        assert!(talk.news().contains(&"!settled @1 []".to_owned()));
    });
}

#[test]
fn c6_of_a_part_only_what_was_told_is_suspected() {
    let four = ["a", "b", "c", "d"].map(|name| endpoint(name, "1"));
    let mut talk = Talk::with(Protocol::Delta, &four);
    talk.ask(E, &["a", "b", "c", "d"]);
    assert_eq!(talk.nack(E, VAGUE), ["endpoint a=1 b=1"]);
    talk.drop(E, &["a"]);
    assert_eq!(talk.nack(E, VAGUE), ["endpoint c=1 d=1"], "b is not tried once more alone");
}

#[test]
fn c6_a_refused_removal_that_has_to_wait_is_tried_when_it_may_go() {
    let two = ["a", "b"].map(|name| cluster(name, "1"));
    let ends = ["a", "b"].map(|name| endpoint(name, "1"));
    let all = [&two[..], &ends[..]].concat();
    let mut talk = Talk::with(Protocol::Delta, &all);
    talk.ask_and_ack(C, &[]);
    assert_eq!(talk.publish(2, &[]), ["cluster -a -b"]);
    assert_eq!(talk.ask(L, &[]), ["listener"]);
    assert_eq!(talk.nack(C, VAGUE), NOTHING, "a listener is under way");
    assert_eq!(talk.ack(L), ["cluster -a"], "and not both again");
    assert_eq!(talk.ack(C), ["cluster -b"]);
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn a_name_added_beside_everything_is_held_already() {
    let mut talk = Talk::with(Protocol::Sotw, &[plain("a", "1"), plain("c", "1")]);
    talk.ask_and_ack(C, &["*"]);
    let last = talk.nonce(C);
    assert_eq!(talk.publish(2, &[plain("a", "1")]), ["cluster a=1"]);
    talk.names.entry(C).or_default().insert("c".into());
    assert_eq!(talk.say(C, &last, &[], &[], None), NOTHING, "it has not read that yet");
    talk.news();
    let lines = talk.nack(C, "c: must not go");
    assert_eq!(talk.news()[0], r#"!nacked cluster @2 ["a"] ["c"]"#);
    assert_eq!(lines, ["cluster a=1 c=1"], "it stays");
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn who_adds_the_name_of_what_everything_leaves_out_has_not_got_it() {
    let api = |content| resource(L, "api", content).by_name_only();
    let mut talk = Talk::with(Protocol::Sotw, &[resource(L, "l", "1"), api("1")]);
    talk.ask_and_ack(L, &["*"]);
    assert_eq!(talk.ask(L, &["api"]), ["listener api=1 l=1"]);
    talk.news();
    assert_eq!(talk.nack(L, "api: no"), NOTHING);
    assert_eq!(talk.news()[0], r#"!nacked listener @1 ["api", "l"] ["api"]"#);
    assert_eq!(talk.publish(2, &[resource(L, "l", "2"), api("1")]), ["listener l=2"]);
    assert_eq!(talk.ack(L), NOTHING);
    assert_eq!(talk.publish(3, &[resource(L, "l", "2"), api("3")]), ["listener api=3 l=2"]);
}

#[test]
fn a_held_resource_is_released_when_it_vanishes() {
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "1")]);
    talk.ask(E, &["a"]);
    assert_eq!(talk.nack(E, VAGUE), NOTHING);
    assert_eq!(talk.publish(2, &[]), ["endpoint -a"]);
}

#[test]
fn c31_a_held_name_asked_for_again_is_sent_again() {
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "1")]);
    talk.ask(E, &["a"]);
    assert_eq!(talk.nack(E, VAGUE), NOTHING);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
    assert_eq!(talk.nack(E, VAGUE), NOTHING);
}

#[test]
fn a_refused_repetition_of_endpoints_is_not_repeated() {
    for_both(|protocol| {
        let first = [cluster("a", "1"), endpoint("a", "1")];
        let mut talk = Talk::with(protocol, &first);
        talk.ask_and_ack(C, &[]);
        talk.ask_and_ack(E, &["a"]);
        let lines = talk.publish(2, &[cluster("a", "2"), endpoint("a", "1")]);
        assert_eq!(lines, ["cluster a=2", "endpoint a=1"]);
        assert_eq!(talk.nack(E, VAGUE), NOTHING);
        talk.ack(C);
        let lines = talk.publish(3, &[cluster("a", "3"), endpoint("a", "1")]);
        assert_eq!(lines, ["cluster a=3"]);
    });
}

#[test]
fn the_clients_own_words_are_kept() {
    let mut session = Session::new(Protocol::Delta);
    session.on_snapshot(snapshot(9, [plain("a", "1")]), NOW);
    let mut request =
        proto::DeltaDiscoveryRequest { type_url: C.type_url().into(), ..Default::default() };
    session.on_request(Request::Delta(request.clone()), NOW).expect("in order");
    let message = "goo.gle/debugproto  a: no\n";
    request.response_nonce = "00000001".into();
    request.error_detail = Some(proto::Status { code: 3, message: message.into() });
    let outputs = session.on_request(Request::Delta(request), NOW).expect("in order");
    let version = snapshot(1, [plain("a", "1")]).version(C).clone();
    let nacked = Event::Nacked {
        resource_type: C,
        version,
        revision: 9,
        code: 3,
        message: message.into(),
        resources: vec!["a".into()],
        culprits: vec!["a".into()],
        searching: false,
    };
    assert_eq!(outputs.first(), Some(&Output::Report(nacked)));
}
