//! How large a response may be, and what is done with what does not go into one.

use super::*;

/// No delta response is larger than this: gRPC clients take 4 MiB.
const LIMIT: usize = 4 << 20;

/// A resource of 1 MiB, with `mark` to tell versions of it apart.
fn large(resource_type: ResourceType, name: &str, mark: &str) -> Resource {
    resource(resource_type, name, &mark.repeat(1 << 20))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("r{index}")).collect()
}

/// What is sent in each part, each part being answered before the next.
struct Parts(Vec<Vec<String>>);

impl Parts {
    /// Reads `outputs`, and accepts all that comes until nothing more does.
    fn take(talk: &mut Talk, outputs: Vec<Output>) -> Self {
        let (mut parts, mut due) = (Vec::new(), sent(outputs));
        while let Some(response) = due.pop() {
            assert!(due.is_empty(), "one response is under way, and no more");
            assert!(response.message().len() < LIMIT, "{} bytes", response.message().len());
            let received = Received::read(&response);
            parts.push(received.resources.iter().map(|r| r.name.clone()).collect());
            let answer = said(talk.protocol, &received, None);
            due = sent(talk.session.on_request(answer, NOW).expect("it is in order"));
        }
        Self(parts)
    }

    /// All names, in the order in which they came.
    fn names(&self) -> Vec<String> {
        self.0.concat()
    }
}

fn sent(outputs: Vec<Output>) -> Vec<Response> {
    let sent = outputs.into_iter().filter_map(|output| match output {
        Output::Send(response) => Some(response),
        Output::Report(_) => None,
    });
    sent.collect()
}

/// The answer to a response: a refusal, if there is a message.
fn said(protocol: Protocol, received: &Received, message: Option<&str>) -> Request {
    let type_url = received.resource_type.type_url().to_owned();
    let response_nonce = received.nonce.clone();
    let error_detail =
        message.map(|message| proto::Status { code: 13, message: message.to_owned() });
    match protocol {
        Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
            type_url,
            response_nonce,
            error_detail,
            resource_names: names(8),
            ..Default::default()
        }),
        Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
            type_url,
            response_nonce,
            error_detail,
            ..Default::default()
        }),
    }
}

/// A first request for these names of a type, which holds some already.
fn asking(
    protocol: Protocol,
    resource_type: ResourceType,
    names: Vec<String>,
    held: &[Resource],
) -> Request {
    let type_url = resource_type.type_url().to_owned();
    match protocol {
        Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
            type_url,
            resource_names: names,
            ..Default::default()
        }),
        Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
            type_url,
            resource_names_subscribe: names,
            initial_resource_versions: held
                .iter()
                .map(|held| (held.name().to_string(), held.version().to_string()))
                .collect(),
            ..Default::default()
        }),
    }
}

fn all(resource_type: ResourceType, mark: &str) -> Vec<Resource> {
    names(8).iter().map(|name| large(resource_type, name, mark)).collect()
}

#[test]
fn c36_a_large_delta_response_comes_in_parts_each_after_the_answer_to_the_last() {
    let mut talk = Talk::with(Protocol::Delta, &all(C, "a"));
    let first = asking(Protocol::Delta, C, Vec::new(), &[]);
    let outputs = talk.session.on_request(first, NOW).expect("it is in order");
    let parts = Parts::take(&mut talk, outputs);
    assert_eq!(parts.names(), names(8), "nothing is lost, and nothing comes twice");
    assert_eq!(parts.0.len(), 4, "two of a MiB and a few bytes are the most below 3 MiB");

    // The same for a change of all of them, and then for one alone.
    let outputs = talk.session.on_snapshot(snapshot(2, all(C, "b")), NOW);
    assert_eq!(Parts::take(&mut talk, outputs).names(), names(8));
    let mut one = all(C, "b");
    one[5] = large(C, "r5", "c");
    let outputs = talk.session.on_snapshot(snapshot(3, one), NOW);
    assert_eq!(Parts::take(&mut talk, outputs).names(), ["r5"]);
}

#[test]
fn c36_endpoints_asked_for_by_name_come_in_parts() {
    for_both(|protocol| {
        let mut talk = Talk::with(protocol, &all(E, "a"));
        let first = asking(protocol, E, names(8), &[]);
        let outputs = talk.session.on_request(first, NOW).expect("it is in order");
        let parts = Parts::take(&mut talk, outputs);
        assert_eq!(parts.names(), names(8));
        assert_eq!(parts.0.len(), 4);
        let outputs = talk.session.on_snapshot(snapshot(2, all(E, "b")), NOW);
        assert_eq!(Parts::take(&mut talk, outputs).names(), names(8));
    });
}

#[test]
fn c36_very_many_names_that_are_not_there_come_in_parts() {
    let names: Vec<_> = (0..300_000).map(|index| format!("nobody-{index}")).collect();
    let mut talk = Talk::with(Protocol::Delta, &[]);
    let first = asking(Protocol::Delta, E, names.clone(), &[]);
    let mut due = sent(talk.session.on_request(first, NOW).expect("it is in order"));
    let (mut told, mut parts) = (Vec::new(), 0);
    while let Some(response) = due.pop() {
        assert!(response.message().len() < LIMIT, "{} bytes", response.message().len());
        let received = Received::read(&response);
        let answer = said(Protocol::Delta, &received, None);
        told.extend(received.removed);
        parts += 1;
        due = sent(talk.session.on_request(answer, NOW).expect("it is in order"));
    }
    assert!(parts > 1);
    told.sort();
    let mut names = names;
    names.sort();
    assert!(told == names, "each once");
}

#[test]
fn c36_what_is_repeated_is_not_lost_between_the_parts() {
    let held = all(E, "a");
    let mut talk = Talk::with(Protocol::Delta, &held);
    let first = asking(Protocol::Delta, E, names(8), &held);
    let outputs = talk.session.on_request(first, NOW).expect("it is in order");
    // c30: what is held and asked for is sent again.
    assert_eq!(Parts::take(&mut talk, outputs).names(), names(8));
}

#[test]
fn c36_a_change_between_two_parts_is_in_the_next() {
    let mut talk = Talk::with(Protocol::Delta, &all(C, "a"));
    let first = asking(Protocol::Delta, C, Vec::new(), &[]);
    let part = sent(talk.session.on_request(first, NOW).expect("it is in order"));
    let received = Received::read(&part[0]);
    assert_eq!(received.names(), ["r0", "r1"]);
    let mut changed = all(C, "a");
    changed[0] = plain("r0", "b");
    changed.pop();
    assert_eq!(sent(talk.session.on_snapshot(snapshot(2, changed), NOW)), []);
    let answer = said(Protocol::Delta, &received, None);
    let outputs = talk.session.on_request(answer, NOW).expect("it is in order");
    let parts = Parts::take(&mut talk, outputs);
    assert_eq!(parts.names(), ["r0", "r2", "r3", "r4", "r5", "r6"], "r7 has never been");
}

#[test]
fn c36_a_refused_part_does_not_keep_the_others() {
    let mut talk = Talk::with(Protocol::Delta, &all(C, "a"));
    let first = asking(Protocol::Delta, C, Vec::new(), &[]);
    let part = sent(talk.session.on_request(first, NOW).expect("it is in order"));
    let received = Received::read(&part[0]);
    let refusal = said(Protocol::Delta, &received, Some("r1: no"));
    let outputs = talk.session.on_request(refusal, NOW).expect("it is in order");
    let mut came = Parts::take(&mut talk, outputs).names();
    came.sort();
    assert_eq!(came, ["r0", "r2", "r3", "r4", "r5", "r6", "r7"]);
    assert!(talk.session.held().eq([C]));
}

#[test]
fn c36_one_resource_alone_may_be_larger() {
    let huge = resource(C, "r0", &"a".repeat(5 << 20));
    let mut talk = Talk::with(Protocol::Delta, &[huge, plain("r1", "1")]);
    let first = asking(Protocol::Delta, C, Vec::new(), &[]);
    let part = sent(talk.session.on_request(first, NOW).expect("it is in order"));
    let received = Received::read(&part[0]);
    assert_eq!(received.names(), ["r0"]);
    let answer = said(Protocol::Delta, &received, None);
    let part = sent(talk.session.on_request(answer, NOW).expect("it is in order"));
    assert_eq!(Received::read(&part[0]).names(), ["r1"]);
}

#[test]
fn c36_a_full_list_is_sent_whole_and_its_size_is_told() {
    let mut talk = Talk::with(Protocol::Sotw, &all(C, "a"));
    let first = asking(Protocol::Sotw, C, Vec::new(), &[]);
    let outputs = talk.session.on_request(first, NOW).expect("it is in order");
    let told: Vec<usize> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Report(Event::Sent { bytes, .. }) => Some(*bytes),
            Output::Report(_) | Output::Send(_) => None,
        })
        .collect();
    let list = sent(outputs);
    assert_eq!(Received::read(&list[0]).names(), names(8), "what is left out would be deleted");
    assert_eq!(told, [list[0].message().len()]);
}
