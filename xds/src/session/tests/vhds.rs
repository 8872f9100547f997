//! Virtual hosts on demand: a request waits for the answer to the name it asked for.

use super::*;

const V: ResourceType = ResourceType::VirtualHost;

/// A virtual host that also answers to a domain, as Envoy asks for it.
fn host(content: &str) -> Resource {
    resource(V, "r/web", content).with_alias("r/web.example")
}

/// The last response, as it goes over the wire.
fn answer(outputs: Vec<Output>) -> proto::DeltaDiscoveryResponse {
    let sent = outputs.into_iter().filter_map(|output| match output {
        Output::Send(response) => Some(response),
        Output::Report(_) => None,
    });
    let sent = sent.last().expect("an answer at once");
    prost::Message::decode(sent.message()).expect("sound")
}

fn asking(names: &[&str]) -> Request {
    Request::Delta(proto::DeltaDiscoveryRequest {
        type_url: V.type_url().to_owned(),
        resource_names_subscribe: owned(names).collect(),
        ..Default::default()
    })
}

#[test]
fn c56_a_host_that_is_not_there_is_answered_at_once_with_an_empty_resource() {
    let mut talk = Talk::with(Protocol::Delta, &[host("1")]);
    let outputs = talk.session.on_request(asking(&["r/nope.example"]), NOW);
    let response = answer(outputs.expect("it is in order"));
    assert_eq!(response.removed_resources, [""; 0], "Envoy would not look there");
    let [resource] = &response.resources[..] else { panic!("{response:?}") };
    let resource: proto::Resource = prost::Message::decode(resource.clone()).expect("sound");
    assert_eq!(resource.name, "r/nope.example");
    assert_eq!(resource.aliases, ["r/nope.example"], "the waiting request is found by it");
    assert_eq!(resource.resource, None);
}

#[test]
fn c56_each_new_name_is_answered_there_or_not() {
    let mut talk = Talk::with(Protocol::Delta, &[host("1")]);
    talk.ask(V, &["r/web.example"]);
    talk.ack(V);
    let outputs = talk.session.on_request(asking(&["r/nope.example"]), NOW);
    let response = answer(outputs.expect("it is in order"));
    assert_eq!(response.resources.len(), 1);
    let again = Request::Delta(proto::DeltaDiscoveryRequest {
        response_nonce: response.nonce,
        ..match asking(&["r/nope.example"]) {
            Request::Delta(request) => request,
            Request::Sotw(_) | Request::Again(_) => unreachable!("it is delta"),
        }
    });
    let outputs = talk.session.on_request(again, NOW).expect("it is in order");
    assert_eq!(answer(outputs).resources.len(), 1, "asked again, answered again");
}

#[test]
fn c35_c56_a_host_is_found_by_an_alias_and_followed() {
    let mut talk = Talk::with(Protocol::Delta, &[host("1")]);
    assert_eq!(talk.ask(V, &["r/web.example"]), ["virtual host r/web=1"]);
    assert_eq!(talk.ack(V), NOTHING);
    assert_eq!(talk.publish(2, &[host("2")]), ["virtual host r/web=2"]);
    assert_eq!(talk.ack(V), NOTHING);
    assert_eq!(talk.publish(3, &[]), ["virtual host -r/web"]);
    assert_eq!(talk.ack(V), NOTHING);
    assert_eq!(talk.publish(4, &[host("3")]), ["virtual host r/web=3"]);
}

#[test]
fn c56_a_host_that_was_not_there_is_sent_once_it_is() {
    let mut talk = Talk::with(Protocol::Delta, &[]);
    let outputs = talk.session.on_request(asking(&["r/web.example"]), NOW);
    let response = answer(outputs.expect("it is in order"));
    talk.nonces.insert(V, response.nonce);
    assert_eq!(talk.ack(V), NOTHING);
    assert_eq!(talk.publish(2, &[host("1")]), ["virtual host r/web=1"]);
}

#[test]
fn c56_hosts_go_after_the_routes_that_ask_for_them() {
    let mut talk = Talk::with(Protocol::Delta, &[host("1"), route("r", "1")]);
    talk.ask_and_ack(R, &["r"]);
    talk.ask_and_ack(V, &["r/web.example"]);
    let lines = talk.publish(2, &[host("2"), route("r", "2")]);
    assert_eq!(lines, ["route r=2", "virtual host r/web=2"]);
}
