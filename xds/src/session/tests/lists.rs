//! Full lists of which something was refused: the rest of them goes on.

use super::*;
use crate::report::ResourceState;

const VAGUE: &str = "INTERNAL: no";
const BAD_A: &str = "Error adding/updating cluster(s) a: no";

/// Clusters with these contents, named from `a` on.
fn clusters<const N: usize>(contents: [&str; N]) -> [Resource; N] {
    let mut names = 'a'..;
    contents.map(|content| plain(&names.next().expect("a letter").to_string(), content))
}

/// A client that holds the first of such clusters.
fn talk<const N: usize>() -> Talk {
    let mut talk = Talk::with(Protocol::Sotw, &clusters(["1"; N]));
    talk.ask_and_ack(C, &[]);
    talk.news();
    talk
}

/// How the clusters stand.
fn states(talk: &Talk) -> Vec<(String, ResourceState)> {
    let reports = talk.session.report().into_iter();
    reports.map(|report| (report.name.to_string(), report.state)).collect()
}

#[test]
fn c6_a_list_has_what_was_accepted_in_place_of_what_was_refused() {
    let mut talk = talk::<2>();
    assert_eq!(talk.publish(2, &clusters(["bad", "2"])), ["cluster a=bad b=2"]);
    assert_eq!(talk.nack(C, BAD_A), ["cluster a=1 b=2"]);
    assert_eq!(talk.ack(C), NOTHING);
    let nacked = r#"!nacked cluster @2 ["a", "b"] ["a"]"#;
    assert_eq!(talk.news(), [nacked, "!acked cluster @2", "!settled @2 [Cluster]"]);
    let states = states(&talk);
    assert_eq!(states, [("a".into(), ResourceState::Nacked), ("b".into(), ResourceState::Acked)]);
    let refusal = talk.session.report().remove(0).refusal.expect("it was refused");
    assert_eq!(&*refusal.message, BAD_A);

    assert_eq!(talk.publish(3, &clusters(["bad", "3"])), ["cluster a=1 b=3"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.publish(4, &clusters(["2", "3"])), ["cluster a=2 b=3"]);
    talk.news();
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.news(), ["!acked cluster @4", "!settled @4 []"]);
}

#[test]
fn c27_a_list_without_what_was_refused_has_a_version_of_its_own() {
    let mut session = Session::new(Protocol::Sotw);
    let refused = snapshot(1, clusters(["bad", "1"]));
    session.on_snapshot(refused.clone(), NOW);
    let mut request =
        proto::DiscoveryRequest { type_url: C.type_url().into(), ..Default::default() };
    session.on_request(Request::Sotw(request.clone()), NOW).expect("in order");
    request.response_nonce = "00000001".into();
    request.error_detail = Some(proto::Status { code: 13, message: BAD_A.into() });
    let outputs = session.on_request(Request::Sotw(request), NOW).expect("in order");
    let sent = outputs.iter().find_map(|output| match output {
        Output::Send(response) => Some(Received::read(response)),
        Output::Report(_) => None,
    });
    let version = sent.expect("the rest of the list").version;
    assert_ne!(version, **refused.version(C));
    assert_eq!(version, **snapshot(2, [plain("b", "1")]).version(C), "that of its content");
}

#[test]
fn c6_a_list_leaves_out_what_was_refused_and_never_accepted() {
    let route = route("r", "1").requiring(C, "a");
    let all = [plain("a", "bad"), plain("b", "1"), listener("l", "r", "1"), route];
    let mut talk = Talk::with(Protocol::Sotw, &all);
    assert_eq!(talk.ask(C, &[]), ["cluster a=bad b=1"]);
    assert_eq!(talk.ask(R, &["r"]), NOTHING, "it waits for the clusters");
    assert_eq!(talk.nack(C, BAD_A), ["cluster b=1", "route r=1"], "and for no longer");
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn c5_a_refused_list_is_taken_apart_until_the_culprit_is_found() {
    let mut talk = talk::<4>();
    let bad = clusters(["2", "2", "bad", "2"]);
    assert_eq!(talk.publish(2, &bad), ["cluster a=2 b=2 c=bad d=2"]);
    assert_eq!(talk.nack(C, VAGUE), ["cluster a=2 b=2 c=1 d=1"]);
    // The other half makes it the list that was refused: it need not be sent again.
    assert_eq!(talk.ack(C), ["cluster a=2 b=2 c=bad d=1"]);
    talk.news();
    assert_eq!(talk.nack(C, VAGUE), ["cluster a=2 b=2 c=1 d=2"]);
    assert_eq!(talk.news(), [r#"!nacked cluster @2 ["a", "b", "c", "d"] ["c"]"#]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.news(), ["!acked cluster @2", "!settled @2 [Cluster]"]);
}

#[test]
fn c6_who_is_left_to_blame_is_held_without_another_refusal() {
    let mut talk = talk::<2>();
    talk.publish(2, &clusters(["2", "bad"]));
    assert_eq!(talk.nack(C, VAGUE), ["cluster a=2 b=1"]);
    talk.news();
    assert_eq!(talk.ack(C), NOTHING);
    let found = r#"!nacked cluster @2 ["b"] ["b"]"#;
    assert_eq!(talk.news(), ["!acked cluster @2", found, "!settled @2 [Cluster]"]);
    assert_eq!(states(&talk)[1], ("b".into(), ResourceState::Nacked));
    assert_eq!(talk.publish(3, &clusters(["2", "3"])), ["cluster a=2 b=3"]);
}

#[test]
fn c61_a_client_that_came_back_keeps_the_list_that_nobody_knows() {
    let mut talk = Talk::with(Protocol::Sotw, &clusters(["bad", "1"]));
    let request = proto::DiscoveryRequest {
        type_url: C.type_url().into(),
        version_info: "of another stream".into(),
        ..Default::default()
    };
    assert_eq!(talk.request(Request::Sotw(request)), ["cluster a=bad b=1"]);
    assert_eq!(talk.nack(C, BAD_A), NOTHING, "a list without a would remove it");
    assert_eq!(talk.publish(2, &clusters(["2", "1"])), ["cluster a=2 b=1"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.publish(3, &clusters(["bad", "3"])), ["cluster a=bad b=3"]);
    assert_eq!(talk.nack(C, BAD_A), ["cluster a=2 b=3"], "now it is known what it has");
}

#[test]
fn a_removal_that_was_refused_keeps_what_is_gone() {
    let mut talk = talk::<2>();
    assert_eq!(talk.publish(2, &clusters(["1"])), ["cluster a=1"]);
    assert_eq!(talk.nack(C, VAGUE), NOTHING);
    assert_eq!(talk.publish(3, &clusters(["3"])), ["cluster a=3 b=1"]);
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn c9_a_name_dropped_while_its_list_is_in_flight_costs_no_other_list() {
    let mut talk = Talk::with(Protocol::Sotw, &clusters(["1", "1"]));
    talk.ask_and_ack(C, &["a", "b"]);
    let old_nonce = talk.nonces[&C].clone();
    talk.ask(L, &["l"]);
    assert_eq!(talk.publish(2, &clusters(["2"])), ["cluster a=2 b=1"], "a listener is under way");
    talk.names.insert(C, ["a".to_owned()].into());
    assert_eq!(talk.say(C, &old_nonce, &[], &[], None), NOTHING);
    assert_eq!(talk.ack(C), NOTHING, "all that is wanted was in it");
}
