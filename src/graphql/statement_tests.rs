//! How many SQL statements a page takes: as many for a long one as for a short one.

use std::net::SocketAddr;

use async_graphql::Response;
use marchproxy_xds::{DiscoveryService, Protocol};
use serde_json::{Value, json};

use super::tests::Plane;
use crate::nodes::{Arrival, Matched, StreamInfo};

/// One chain of references each: what is read one after the other cannot vary.
const CHAINS: [&str; 8] = [
    "services(first: 200) { nodes { name endpoints { host port } nodeGroup { name } } }",
    "routes(first: 200) { nodes { name listener { name nodeGroup { name } } } }",
    "routes(first: 200) { nodes { name forward { backends { weight
        service { name nodeGroup { name } } } } } }",
    "listeners(first: 200) { nodes { name tcpService { name nodeGroup { name } } } }",
    "listeners(first: 200) { nodes { name certificate { name nodeGroup { name } } } }",
    "mappings(first: 200) { nodes { name destServices { name nodeGroup { name } } } }",
    "certificates(first: 200) { nodes { name nodeGroup { name } } }",
    "xdsNodes { nodeId nodeGroup { name } sync { type resources { nodes {
        name object { __typename } } } } loads { cluster } }",
];

/// Of all kinds of things: a longer page may show fewer kinds, which takes less.
const MIXED: [&str; 2] = [
    "events(first: 200) { nodes { resource { resource { id } } } }",
    "search(query: \"n\", first: 100) { id }",
];

impl Plane {
    /// Something more of everything.
    async fn grow(&self, by: u16) {
        for n in 0..by {
            let route = self.new_route().await;
            let service = route["backends"][0]["service"].clone();
            self.made("createRoute CreateRouteInput", route, "route.id").await;
            let input = json!({ "name": self.name(), "destServices": [service] });
            self.made("createMapping CreateMappingInput", input, "mapping.id").await;
            let (port, certificate) = (20_000 + self.made_so_far(), self.certificate().await);
            let tcp = json!({ "name": self.name(), "port": port, "tcpService": service,
                "certificate": certificate });
            self.made("createListener CreateListenerInput", tcp, "listener.id").await;
            let peer: SocketAddr = ([127, 0, 0, 1], 1000 + n).into();
            let arrival = Arrival {
                name: self.name(),
                group: self.app.default_group(),
                matched: Matched::Id,
                peer: Some(peer),
                protocol: Protocol::Delta,
                software: String::new(),
                connected_at: chrono::Utc::now(),
            };
            self.nodes.connect(arrival, StreamInfo::new(DiscoveryService::Aggregated, &[]));
        }
    }

    /// How many statements a query takes.
    async fn count(&self, query: &str) -> u64 {
        let before = self.store.statements();
        let answer: Response = self.ask(Some(self.admin.clone()), query, &Value::Null).await;
        assert!(answer.errors.is_empty(), "{query}: {:?}", answer.errors);
        self.store.statements() - before
    }
}

#[tokio::test]
async fn a_page_takes_as_many_statements_however_long_it_is() {
    let plane = Plane::start().await;
    let count = async |chains: &[&str]| {
        let mut counts = vec![];
        for chain in chains {
            counts.push(plane.count(&format!("{{ {chain} }}")).await);
        }
        counts
    };
    plane.grow(2).await;
    let (short, mixed) = (count(&CHAINS).await, count(&MIXED).await);
    assert!(short.iter().chain(&mixed).all(|count| *count > 0), "{short:?}, {mixed:?}");
    plane.grow(98).await;
    assert_eq!(count(&CHAINS).await, short);
    let long = count(&MIXED).await;
    let is_more = long.iter().zip(&mixed).any(|(long, short)| long > short);
    assert!(!is_more, "{mixed:?} for short ones, {long:?} for long ones");

    // All of it at once: no more than one by one.
    let whole = CHAINS.iter().enumerate().map(|(n, chain)| {
        let (name, rest) = chain.split_at(chain.find([' ', '(']).unwrap());
        format!("q{n}: {name}{rest}")
    });
    let whole = format!("{{ {} }}", whole.collect::<Vec<_>>().join(" "));
    let (at_once, sum) = (plane.count(&whole).await, short.iter().sum());
    assert!(at_once <= sum, "{at_once} at once, {short:?} one by one");
}

#[tokio::test]
async fn things_are_read_together_by_their_ids() {
    let plane = Plane::start().await;
    let count = async |first: usize| {
        let mut ids = vec![];
        for list in ["services", "routes", "listeners", "mappings", "certificates", "snapshots"] {
            let query = format!("{{ {list}(first: {first}) {{ nodes {{ id }} }} }}");
            let answer: Response = plane.ask(Some(plane.admin.clone()), &query, &Value::Null).await;
            let found = answer.data.into_json().unwrap();
            let found = found[list]["nodes"].as_array().unwrap().clone();
            assert_eq!(found.len(), first, "{list}");
            ids.extend(found.into_iter().map(|node| node["id"].clone()));
        }
        plane.count(&format!("{{ nodes(ids: {}) {{ id }} }}", json!(ids))).await
    };
    plane.grow(16).await;
    let few = count(1).await;
    assert!(few > 0);
    assert_eq!(count(16).await, few);
}
