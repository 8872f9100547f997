//! Delta: subscriptions that come and go, and clients that come back.

use super::*;

fn talk(resources: &[Resource]) -> Talk {
    Talk::with(Protocol::Delta, resources)
}

#[test]
fn only_what_has_changed_is_sent() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    assert_eq!(talk.ask(C, &[]), ["cluster a=1 b=1"]);
    talk.ack(C);
    let next = [plain("b", "2"), plain("c", "1")];
    assert_eq!(talk.publish(2, &next), ["cluster b=2 c=1 -a"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.publish(3, &next), NOTHING);
}

#[test]
fn c4_a_stale_request_counts_for_names() {
    let mut talk = talk(&[route("a", "1"), route("b", "1"), route("c", "1")]);
    talk.ask_and_ack(R, &["a"]);
    let stale = talk.nonces[&R].clone();
    let next = [route("a", "2"), route("b", "2"), route("c", "2")];
    assert_eq!(talk.publish(2, &next), ["route a=2"]);
    assert_eq!(talk.say(R, &stale, &["b", "c"], &["a"], None), NOTHING);
    assert_eq!(talk.say(R, "never-heard", &[], &["c"], None), NOTHING);
    assert_eq!(talk.ack(R), ["route b=2"]);
}

#[test]
fn c16_a_first_request_for_nothing_is_for_everything_and_stays_so() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    talk.ask_and_ack(C, &[]);
    assert_eq!(talk.ask(C, &["a"]), ["cluster a=1"]);
    talk.ack(C);
    let next = [plain("a", "1"), plain("b", "2")];
    assert_eq!(talk.publish(2, &next), ["cluster b=2"]);
}

#[test]
fn c15_dropping_the_star_keeps_the_names() {
    let mut talk = talk(&[plain("a", "1"), plain("b", "1")]);
    talk.ask_and_ack(C, &["*", "a"]);
    assert_eq!(talk.drop(C, &["*"]), NOTHING);
    assert_eq!(talk.publish(2, &[plain("a", "2"), plain("b", "2")]), ["cluster a=2"]);
    talk.ack(C);
    assert_eq!(talk.ask(C, &["*"]), ["cluster b=2"]);
}

#[test]
fn c17_dropping_a_name_under_a_star_tells_about_it() {
    let mut talk = talk(&[plain("a", "1")]);
    talk.ask_and_ack(C, &["*", "a", "gone"]);
    assert_eq!(talk.drop(C, &["a"]), ["cluster a=1"]);
    talk.ack(C);
    assert_eq!(talk.drop(C, &["gone"]), ["cluster -gone"]);
    talk.ack(C);
}

#[test]
fn c18_dropping_a_name_never_asked_for_is_ignored() {
    let mut talk = talk(&[plain("a", "1"), route("r", "1")]);
    talk.ask_and_ack(C, &[]);
    talk.ask_and_ack(R, &["r"]);
    assert_eq!(talk.drop(C, &["a", "x"]), NOTHING);
    assert_eq!(talk.drop(R, &["x"]), NOTHING);
}

#[test]
fn a_dropped_name_is_not_sent_any_more() {
    let mut talk = talk(&[endpoint("a", "1")]);
    talk.ask_and_ack(E, &["a"]);
    assert_eq!(talk.drop(E, &["a"]), NOTHING);
    assert_eq!(talk.publish(2, &[endpoint("a", "2")]), NOTHING);
    assert_eq!(talk.publish(3, &[]), NOTHING);
}

#[test]
fn c29_a_client_that_comes_back_gets_only_the_difference() {
    let held = [plain("a", "1"), plain("b", "1"), plain("gone", "1")];
    let mut talk = talk(&[plain("a", "1"), plain("b", "2")]);
    assert_eq!(talk.resume(C, &[], &held), ["cluster b=2 -gone"]);
}

#[test]
fn c29_versions_count_only_in_the_first_request() {
    let resources = [route("a", "1"), route("b", "1")];
    let mut talk = talk(&resources);
    talk.ask_and_ack(R, &["a"]);
    assert_eq!(talk.resume(R, &["b"], &resources), ["route b=1"]);
}

#[test]
fn c30_c44_a_restart_costs_endpoints_and_nothing_else() {
    let resources = [
        cluster("a", "1"),
        endpoint("a", "1"),
        listener("l", "r", "1"),
        route("r", "1"),
        resource(S, "s", "1"),
    ];
    let mut talk = talk(&resources);
    let held = |t: ResourceType| -> Vec<Resource> {
        resources.iter().filter(|held| held.resource_type() == t).cloned().collect()
    };
    assert_eq!(talk.resume(C, &[], &held(C)), NOTHING);
    assert_eq!(talk.resume(L, &["*"], &held(L)), NOTHING);
    assert_eq!(talk.resume(R, &["r"], &held(R)), NOTHING);
    assert_eq!(talk.resume(S, &["s"], &held(S)), NOTHING);
    let quiet = ["!acked cluster @1", "!acked listener @1", "!acked route @1", "!acked secret @1"];
    assert_eq!(talk.news(), quiet);
    assert_eq!(talk.resume(E, &["a"], &held(E)), ["endpoint a=1"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.news(), ["!acked endpoint @1", "!settled @1 []"]);
}

#[test]
fn c30_endpoints_held_and_gone_are_told_gone_once() {
    let mut talk = talk(&[]);
    assert_eq!(talk.resume(E, &["a"], &[endpoint("a", "1")]), ["endpoint -a"]);
    assert_eq!(talk.ack(E), NOTHING);
}

#[test]
fn c31_resubscribing_a_known_name_sends_it_again() {
    for resource_type in ResourceType::ALL {
        let mut talk = talk(&[resource(resource_type, "a", "1")]);
        talk.ask_and_ack(resource_type, &["a"]);
        assert_eq!(talk.ask(resource_type, &["a"]), [format!("{resource_type} a=1")]);
        assert_eq!(talk.ack(resource_type), NOTHING);
    }
}

#[test]
fn c31_resubscribing_in_flight_sends_it_after_the_answer() {
    let mut talk = talk(&[endpoint("a", "1")]);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
    assert_eq!(talk.drop(E, &["a"]), NOTHING);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
    assert_eq!(talk.ask(E, &["a"]), NOTHING);
    assert_eq!(talk.ack(E), ["endpoint a=1"]);
}

#[test]
fn c31_dropping_and_asking_again_in_one_request_sends_it_again() {
    let mut talk = talk(&[endpoint("a", "1"), endpoint("b", "1")]);
    assert_eq!(talk.ask(E, &["a", "b"]), ["endpoint a=1 b=1"]);
    // The client may have read what is on its way before it dropped that, or not.
    assert_eq!(talk.say(E, "", &["a"], &["a"], None), NOTHING);
    assert_eq!(talk.ack(E), ["endpoint a=1"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.say(E, "", &["a"], &["a"], None), ["endpoint a=1"]);
    assert_eq!(talk.ack(E), NOTHING);
}

#[test]
fn c32_nobody_is_told_that_something_unheard_of_is_gone() {
    let mut talk = talk(&[plain("a", "1"), endpoint("a", "1")]);
    talk.ask_and_ack(E, &["x"]);
    assert_eq!(talk.ask(C, &["a"]), ["cluster a=1"]);
    talk.ack(C);
    assert_eq!(talk.publish(2, &[plain("a", "1")]), NOTHING);
}

#[test]
fn c32_a_name_dropped_in_flight_is_not_said_to_be_gone_later() {
    let mut talk = talk(&[endpoint("a", "1"), endpoint("b", "1")]);
    assert_eq!(talk.ask(E, &["a", "b"]), ["endpoint a=1 b=1"]);
    assert_eq!(talk.drop(E, &["a"]), NOTHING);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.publish(2, &[endpoint("b", "1")]), NOTHING);
}

#[test]
fn c4_changing_all_names_in_flight_does_not_forget_the_answer() {
    let mut talk = talk(&[route("a", "1"), route("b", "1")]);
    assert_eq!(talk.ask(R, &["a"]), ["route a=1"]);
    assert_eq!(talk.say(R, "", &["b"], &["a"], None), NOTHING);
    assert_eq!(talk.ack(R), ["route b=1"]);
}

#[test]
fn c33_an_absent_name_is_answered_at_once_and_stays_subscribed() {
    let mut talk = talk(&[]);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint -a"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint -a"]);
    assert_eq!(talk.ack(E), NOTHING);
    assert_eq!(talk.publish(2, &[endpoint("a", "1")]), ["endpoint a=1"]);
    talk.ack(E);
    assert_eq!(talk.publish(3, &[]), ["endpoint -a"]);
}

#[test]
fn c33_of_routes_secrets_and_filters_nobody_is_told_that_they_are_gone() {
    for resource_type in [R, S, ResourceType::Extension] {
        let mut talk = talk(&[]);
        assert_eq!(talk.ask(resource_type, &["a"]), NOTHING);
        let line = format!("{resource_type} a=1");
        let there = [resource(resource_type, "a", "1")];
        assert_eq!(talk.publish(2, &there), [line.as_str()]);
        talk.ack(resource_type);
        assert_eq!(talk.publish(3, &[]), NOTHING);
        assert_eq!(talk.publish(4, &there), [line.as_str()]);
    }
}

#[test]
fn c34_asking_for_everything_is_answered_even_if_there_is_nothing() {
    let mut talk = talk(&[]);
    assert_eq!(talk.ask(C, &[]), ["cluster"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(talk.ask(L, &["*"]), ["listener"]);
    assert_eq!(talk.ack(L), NOTHING);
    assert_eq!(talk.publish(2, &[]), NOTHING);
}
