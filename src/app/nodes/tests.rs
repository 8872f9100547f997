use super::*;
use crate::app::NewNodeToken;
use crate::app::testing::app;
use crate::auth::{ConnectionInfo, NodeAccess, actor};
use crate::model::{NodeTokenSpec, Role};

fn hello(peer: Option<&str>, secure: bool) -> Hello {
    let peer = peer.map(|peer| peer.parse().unwrap());
    let mut extensions = http::Extensions::new();
    extensions.insert(ConnectionInfo { peer, secure, ..Default::default() });
    Hello {
        node: NodeInfo { id: "me".to_owned(), ..Default::default() },
        peer: None,
        protocol: Protocol::Delta,
        service: DiscoveryService::Aggregated,
        names: vec![],
        headers: http::HeaderMap::new(),
        extensions,
    }
}

#[tokio::test]
async fn secrets_are_withheld_where_others_could_read_along() {
    let secret = vec![ResourceType::Secret];
    for (plaintext_secrets, peer, secure, want) in [
        (false, Some("127.0.0.1:7"), false, vec![]),
        (false, Some("192.0.2.7:7"), true, vec![]),
        (false, Some("192.0.2.7:7"), false, secret.clone()),
        (false, None, false, secret),
        (true, Some("192.0.2.7:7"), false, vec![]),
    ] {
        let (app, _dir) = app(NodeAccess::new(NodeAuth::None, plaintext_secrets)).await;
        let hello = hello(peer, secure);
        let credential = NodeCredential::read(&hello.headers, &hello.extensions);
        let admission = app.admit(hello, &credential).await.unwrap();
        assert_eq!(admission.withheld, want, "{plaintext_secrets} {peer:?} {secure}");
        let known = app.0.nodes.list(None);
        assert_eq!(known[0].peer, peer.map(|peer| peer.parse().unwrap()));
    }
}

#[tokio::test]
async fn who_makes_credentials_and_who_revokes_them() {
    let (app, _dir) = app(NodeAccess::new(NodeAuth::Token, false)).await;
    let (admin, group) = (actor(Role::Admin), app.default_group());
    for (role, makes, revokes) in
        [(Role::Viewer, false, false), (Role::Operator, false, true), (Role::Admin, true, true)]
    {
        let spec = |name: &str| NodeTokenSpec {
            name: name.to_owned().try_into().unwrap(),
            node: None,
            expires_at: None,
        };
        let new = |name| NewNodeToken { group: None, spec: spec(name) };
        let (token, _) = app.create_node_token(&admin, new("to-revoke")).await.unwrap();
        let actor = actor(role);
        let made = app.create_node_token(&actor, new("made")).await;
        assert_eq!(made.is_ok(), makes, "{role:?}");
        assert_eq!(app.rotate_node_group_key(&actor, group).await.is_ok(), makes, "{role:?}");
        let revoked = app.revoke_node_token(&actor, token.id).await;
        assert_eq!(revoked.is_ok(), revokes, "{role:?}");
        if !revokes {
            app.revoke_node_token(&admin, token.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_token_is_revoked_for_good_and_a_group_takes_its_tokens_along() {
    let (app, _dir) = app(NodeAccess::new(NodeAuth::Token, false)).await;
    let admin = actor(Role::Admin);
    let name = "blue".to_owned().try_into().unwrap();
    let spec = crate::model::NodeGroupSpec::named(name);
    let (group, _) = app.create_node_group(&admin, spec).await.unwrap();
    let (_, secret) = app.rotate_node_group_key(&admin, group.id).await.unwrap();
    let mut headers = http::HeaderMap::new();
    let value = format!("Bearer {}", secret.expose()).parse().unwrap();
    headers.insert(http::header::AUTHORIZATION, value);
    let credential = NodeCredential::read(&headers, &http::Extensions::new());
    let node = NodeInfo::default();
    let identity = app.identify(&credential, &node).await.unwrap();
    assert_eq!((identity.group.id, identity.matched), (group.id, Matched::GroupKey));
    app.delete_node_group(&admin, group.id, None).await.unwrap();
    let refused = app.identify(&credential, &node).await.unwrap_err();
    assert_eq!(refused.codes().grpc, tonic::Code::Unauthenticated);
}

fn calling(service: DiscoveryService, protocol: Protocol) -> Hello {
    Hello {
        node: NodeInfo::default(),
        peer: None,
        protocol,
        service,
        names: vec![],
        headers: http::HeaderMap::new(),
        extensions: http::Extensions::new(),
    }
}

#[test]
fn who_does_not_use_ads_has_separate_sources() {
    let cds = DiscoveryService::Of(ResourceType::Cluster);
    let separate = |cluster: &str, protocol| Sources::Separate {
        cluster: cluster.to_owned().try_into().unwrap(),
        protocol,
    };
    let table = [
        (DiscoveryService::Aggregated, "other", "sotw", Sources::Aggregated),
        (cds, "", "", separate("xds_cluster", Protocol::Delta)),
        (cds, "other", "delta", separate("other", Protocol::Delta)),
        (cds, "no name", "nonsense", separate("xds_cluster", Protocol::Delta)),
        (cds, "", "sotw", separate("xds_cluster", Protocol::Sotw)),
    ];
    for (service, cluster, rest_by, want) in table {
        let mut hello = calling(service, Protocol::Delta);
        hello.node.metadata.insert("xds_cluster".to_owned(), cluster.to_owned());
        hello.headers.insert(REST_BY, rest_by.parse().unwrap());
        assert_eq!(sources(&hello), want, "{service:?} {cluster:?} {rest_by:?}");
    }
    let sotw = sources(&calling(cds, Protocol::Sotw));
    assert_eq!(sotw, separate("xds_cluster", Protocol::Sotw));
}

#[test]
fn a_node_id_may_name_its_group() {
    let table = [
        ("cluster-1", Some(1)),
        ("cluster-42", Some(42)),
        ("cluster-0", None),
        ("cluster--1", None),
        ("cluster-", None),
        ("cluster-1a", None),
        ("my-cluster-1", None),
    ];
    for (input, want) in table {
        assert_eq!(group_in(input).map(i32::from), want, "input {input:?}");
    }
}

#[test]
fn what_a_node_says_of_a_secret_is_not_told() {
    let refused = |resource_type| Event::Nacked {
        resource_type,
        version: "1".into(),
        revision: 1,
        code: 3,
        message: "invalid key: hush".into(),
        resources: vec![],
        culprits: vec![],
        searching: false,
    };
    let said = |resource_type| format!("{:?}", discreet(refused(resource_type)));
    assert!(!said(ResourceType::Secret).contains("hush"));
    assert!(said(ResourceType::Cluster).contains("hush"));
}
