//! Why a name is not there is said to those who ask for it by name.

use tonic::Code;

use super::*;
use crate::{Denial, Snapshot};

/// `name` is not there, since that is not allowed.
fn denial(resource_type: ResourceType, name: &str, message: &str) -> Denial {
    let (name, message) = (name.into(), message.into());
    Denial { resource_type, name, code: Code::PermissionDenied, message }
}

fn publish(
    talk: &mut Talk,
    revision: u64,
    resources: &[Resource],
    denials: &[Denial],
) -> Vec<String> {
    let next = Snapshot::new(revision, resources.iter().cloned()).expect("consistent");
    let next = Arc::new(next.denying(denials.iter().cloned()));
    let outputs = talk.session.on_snapshot(next, NOW);
    talk.hear(outputs)
}

fn talk(protocol: Protocol, resources: &[Resource], denials: &[Denial]) -> Talk {
    let mut talk = Talk::new(protocol);
    assert_eq!(publish(&mut talk, 1, resources, denials), NOTHING);
    talk
}

#[test]
fn c37_who_asks_for_a_name_is_told_why_it_is_not_there() {
    let no = [denial(E, "b", "no"), denial(E, "c", "no")];
    let mut sotw = talk(Protocol::Sotw, &[endpoint("a", "1")], &no);
    assert_eq!(sotw.ask(E, &["a", "b"]), ["endpoint a=1 b?7:no"]);
    let mut delta = talk(Protocol::Delta, &[endpoint("a", "1")], &no);
    assert_eq!(delta.ask(E, &["a", "b", "x"]), ["endpoint a=1 -b -x b?7:no"], "nobody asked for c");
}

#[test]
fn c37_it_is_said_even_if_there_is_nothing_else_to_say_and_once() {
    for_both(|protocol| {
        for resource_type in [E, R, S] {
            let no = [denial(resource_type, "b", "no")];
            let mut talk = talk(protocol, &[], &no);
            let lines = talk.ask(resource_type, &["b"]);
            let removed = protocol == Protocol::Delta && resource_type == E;
            let removed = if removed { " -b" } else { "" };
            assert_eq!(lines, [format!("{resource_type}{removed} b?7:no")]);
            assert_eq!(talk.ack(resource_type), NOTHING);
            assert_eq!(publish(&mut talk, 2, &[plain("x", "1")], &no), NOTHING);
            let other = [&no[..], &[denial(resource_type, "x", "no")]].concat();
            assert_eq!(publish(&mut talk, 3, &[], &other), NOTHING, "nobody asked for x");
        }
    });
}

#[test]
fn c37_a_new_reason_is_told_and_so_is_its_end() {
    for_both(|protocol| {
        let mut talk = talk(protocol, &[], &[]);
        talk.ask(R, &["b"]);
        assert_eq!(publish(&mut talk, 2, &[], &[denial(R, "b", "no")]), ["route b?7:no"]);
        talk.ack(R);
        assert_eq!(publish(&mut talk, 3, &[], &[denial(R, "b", "never")]), ["route b?7:never"]);
        talk.ack(R);
        assert_eq!(publish(&mut talk, 4, &[route("b", "1")], &[]), ["route b=1"]);
        talk.ack(R);
        assert_eq!(publish(&mut talk, 5, &[], &[denial(R, "b", "no")]), ["route b?7:no"]);
        talk.ack(R);
        assert_eq!(publish(&mut talk, 6, &[], &[]), NOTHING);
    });
}

#[test]
fn c37_one_more_name_is_answered_with_its_reason() {
    for_both(|protocol| {
        let mut talk = talk(protocol, &[route("a", "1")], &[denial(R, "b", "no")]);
        talk.ask_and_ack(R, &["a"]);
        assert_eq!(talk.ask(R, &["b"]), ["route b?7:no"]);
        talk.ack(R);
        if protocol == Protocol::Delta {
            assert_eq!(talk.ask(R, &["b"]), ["route b?7:no"], "asked again, told again");
        }
    });
}

#[test]
fn c37_a_list_has_the_reasons_beside_all_that_is_there() {
    let no = [denial(C, "b", "no")];
    let mut talk = talk(Protocol::Sotw, &[plain("a", "1")], &no);
    assert_eq!(talk.ask(C, &["a", "b"]), ["cluster a=1 b?7:no"]);
    assert_eq!(talk.ack(C), NOTHING);
    assert_eq!(publish(&mut talk, 2, &[plain("a", "1")], &no), NOTHING);
    let never = [denial(C, "b", "never")];
    assert_eq!(publish(&mut talk, 3, &[plain("a", "1")], &never), ["cluster a=1 b?7:never"]);
    assert_eq!(talk.ack(C), NOTHING);
    let both = [plain("a", "1"), plain("b", "1")];
    assert_eq!(publish(&mut talk, 4, &both, &never), ["cluster a=1 b=1"]);
}

#[test]
fn c37_c6_a_list_that_brings_a_reason_alone_is_refused_once() {
    let mut talk = talk(Protocol::Sotw, &[plain("a", "1")], &[]);
    talk.ask_and_ack(C, &["a", "b"]);
    let no = [denial(C, "b", "no")];
    assert_eq!(publish(&mut talk, 2, &[plain("a", "1")], &no), ["cluster a=1 b?7:no"]);
    assert_eq!(talk.nack(C, "what is that"), NOTHING);
    assert_eq!(publish(&mut talk, 3, &[plain("a", "1")], &no), NOTHING);
    assert_eq!(publish(&mut talk, 4, &[plain("a", "2")], &no), ["cluster a=2 b?7:no"]);
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn c37_c6_a_list_without_what_is_denied_may_be_refused_for_that() {
    let both = [plain("a", "1"), plain("b", "1")];
    let mut talk = talk(Protocol::Sotw, &both, &[]);
    talk.ask_and_ack(C, &["a", "b"]);
    let no = [denial(C, "b", "no")];
    assert_eq!(publish(&mut talk, 2, &both[..1], &no), ["cluster a=1 b?7:no"]);
    assert_eq!(talk.nack(C, "cluster b is needed"), NOTHING, "b stays");
    assert_eq!(publish(&mut talk, 3, &[plain("a", "2")], &no), ["cluster a=2 b=1"]);
    assert_eq!(talk.ack(C), NOTHING);
}

#[test]
fn c37_who_asks_for_everything_is_told_no_reasons() {
    for_both(|protocol| {
        let no = [denial(C, "b", "no")];
        let mut talk = talk(protocol, &[plain("a", "1"), plain("b", "1")], &[]);
        talk.ask_and_ack(C, &[]);
        let gone = match protocol {
            Protocol::Sotw => "cluster a=1",
            Protocol::Delta => "cluster -b",
        };
        assert_eq!(publish(&mut talk, 2, &[plain("a", "1")], &no), [gone]);
    });
}

#[test]
fn c37_a_reason_is_a_part_of_the_version_in_whatever_order_they_come() {
    let with = |denials: &[Denial]| {
        let snapshot = Snapshot::new(1, [route("a", "1")]).expect("consistent");
        snapshot.denying(denials.iter().cloned())
    };
    let (x, y) = (denial(R, "x", "no"), denial(R, "y", "no"));
    let one = with(&[x.clone(), y.clone()]);
    assert_eq!(one.digest(), with(&[y.clone(), x.clone()]).digest());
    assert_ne!(one.digest(), with(&[x]).digest());
    assert_ne!(with(&[y]).version(R), with(&[]).version(R));
    let there = with(&[denial(R, "a", "it is there")]);
    assert_eq!(there.digest(), with(&[]).digest(), "of what is there it says nothing");
}
