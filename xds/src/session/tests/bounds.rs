//! What a client can make a session keep is bounded, whatever it says.

use super::*;

/// A name of a mebibyte, unlike the others.
fn long(index: usize) -> String {
    format!("{index}-{}", "x".repeat(1 << 20))
}

fn delta(type_url: &str, subscribe: &[String], unsubscribe: &[String]) -> Request {
    Request::Delta(proto::DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names_subscribe: subscribe.to_vec(),
        resource_names_unsubscribe: unsubscribe.to_vec(),
        ..Default::default()
    })
}

/// Says this with one number after the other, until the session has enough of it.
fn refused_after(talk: &mut Talk, say: impl Fn(usize) -> Vec<Request>) -> Option<usize> {
    (0..100).find(|index| {
        let refused = |request| talk.session.on_request(request, NOW);
        say(*index).into_iter().map(refused).any(|r| r == Err(Violation::TooManyNames))
    })
}

#[test]
fn a_stream_with_too_many_names_is_ended() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &[]);
        let after = refused_after(&mut talk, |index| match protocol {
            Protocol::Delta => vec![delta(E.type_url(), &[long(index)], &[])],
            Protocol::Sotw => vec![Request::Sotw(proto::DiscoveryRequest {
                type_url: E.type_url().to_owned(),
                resource_names: (0..=index).map(long).collect(),
                ..Default::default()
            })],
        });
        assert_eq!(after, Some(31), "they take 32 MiB and a little");
    });
}

#[test]
fn names_of_types_that_nobody_knows_count_as_well() {
    let mut talk = Talk::with(Protocol::Delta, &[]);
    let after = refused_after(&mut talk, |index| {
        vec![delta(&format!("type.googleapis.com/x.Y{}", index % 2), &[long(index)], &[])]
    });
    assert_eq!(after, Some(31));
    let mut talk = Talk::with(Protocol::Delta, &[]);
    assert_eq!(refused_after(&mut talk, |index| vec![delta(&long(index), &[], &[])]), Some(31));
}

#[test]
fn names_that_come_and_go_while_an_answer_is_awaited_count_as_well() {
    let mut talk = Talk::with(Protocol::Delta, &[endpoint("a", "1"), plain("a", "1")]);
    assert_eq!(talk.ask(E, &["a"]), ["endpoint a=1"]);
    let come_and_go = |resource_type: ResourceType| {
        move |index| {
            let type_url = resource_type.type_url();
            vec![delta(type_url, &[long(index)], &[]), delta(type_url, &[], &[long(index)])]
        }
    };
    assert!(refused_after(&mut talk, come_and_go(E)).is_some(), "what was dropped is kept");
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "1")]);
    assert_eq!(talk.ask(C, &[]), ["cluster a=1"]);
    assert!(refused_after(&mut talk, come_and_go(C)).is_some(), "each has to be told about");
}

#[test]
fn what_a_client_says_that_it_holds_counts_as_well() {
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "1")]);
    let held = |versions: usize| {
        Request::Delta(proto::DeltaDiscoveryRequest {
            type_url: C.type_url().to_owned(),
            initial_resource_versions: (0..versions).map(|n| (long(n), "1".to_owned())).collect(),
            ..Default::default()
        })
    };
    assert_eq!(talk.session.on_request(held(40), NOW), Err(Violation::TooManyNames));
    let mut talk = Talk::with(Protocol::Delta, &[plain("a", "1")]);
    assert!(talk.session.on_request(held(20), NOW).is_ok());
}

#[test]
fn a_hundred_thousand_names_are_not_too_many() {
    for_both(|protocol| {
        let names: Vec<_> = (0..100_000).map(|index| format!("outbound|80||{index}.svc")).collect();
        let held = names.iter().map(|name| (name.clone(), "0".repeat(32))).collect();
        let request = match protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                type_url: R.type_url().to_owned(),
                resource_names: names,
                ..Default::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url: R.type_url().to_owned(),
                resource_names_subscribe: names,
                initial_resource_versions: held,
                ..Default::default()
            }),
        };
        let mut talk = Talk::with(protocol, &[]);
        assert_eq!(talk.request(request), NOTHING);
    });
}
