use marchproxy_xds::{Resource, ResourceType};

use super::*;
use crate::model::Name;

fn snapshot() -> Snapshot {
    let kinds = [ResourceType::Cluster, ResourceType::Cluster, ResourceType::Listener];
    let resources = kinds.into_iter().zip(["a", "b", "l"]);
    let resources = resources.map(|(kind, name)| Resource::encode(kind, name, &name.to_owned()));
    Snapshot::new(3, resources).unwrap()
}

fn state() -> DesiredState {
    let at = DateTime::from_timestamp(1_700_000_000, 123_000).unwrap();
    let name = |name: &str| Name::try_from(name.to_owned()).unwrap();
    let service = serde_json::json!({
        "name": "api", "protocol": { "http": "http2" },
        "endpoints": [{ "host": "10.0.0.1", "port": 80, "weight": 1 }],
        "load_balancing": "maglev",
        "timeouts": { "connect": 5000, "request": 0, "idle": 1000 },
        "health_check": null, "tls": { "sni": "api.example", "verification": "system" },
    });
    let route = serde_json::json!({
        "name": "r", "listener": 2, "hosts": ["*.example"], "path": { "prefix": "/" },
        "methods": ["GET"], "headers": [], "priority": -1,
        "action": { "redirect": { "https": true, "host": null, "port": null, "path": null,
            "code": "found" } },
    });
    let mapping = serde_json::json!({
        "name": "m", "description": "", "sources": "all", "destinations": { "these": [5] },
        "protocols": ["tcp"], "ports": [[80, 90]], "auth_required": true, "comments": "",
        "is_active": true,
    });
    let listener = serde_json::json!({
        "name": "l", "address": "::1", "port": 80, "protocol": "http",
    });
    let runtime =
        [(crate::model::RuntimeKey(name("a.b")), crate::model::RuntimeValue::Number(1.5))];
    let mut state = DesiredState::empty(NodeGroup {
        id: 7.try_into().unwrap(),
        is_default: true,
        revision: 3_i64.into(),
        created_by: None,
        spec: NodeGroupSpec {
            description: "d".to_owned(),
            runtime: runtime.into(),
            ..NodeGroupSpec::named(name("g"))
        },
        settings_revision: Default::default(),
        created_at: at,
        updated_at: at,
    });
    let group = state.group.id;
    state.services.push(Service {
        id: 5.try_into().unwrap(),
        group,
        created_by: None,
        spec: serde_json::from_value(service).unwrap(),
        revision: Default::default(),
        created_at: at,
        updated_at: at,
    });
    state.listeners.push(Listener {
        id: 2.try_into().unwrap(),
        group,
        is_default: true,
        spec: serde_json::from_value(listener).unwrap(),
        revision: Default::default(),
        created_at: at,
        updated_at: at,
    });
    state.routes.push(Route {
        id: 9.try_into().unwrap(),
        group,
        spec: serde_json::from_value(route).unwrap(),
        revision: Default::default(),
        created_at: at,
        updated_at: at,
    });
    state.mappings.push(Mapping {
        id: 4.try_into().unwrap(),
        group,
        created_by: None,
        spec: serde_json::from_value(mapping).unwrap(),
        revision: Default::default(),
        created_at: at,
        updated_at: at,
    });
    state
}

#[test]
fn what_is_kept_is_read_back_as_it_was() {
    let state = state();
    let items = items(&state, &snapshot());
    let mut now = state.group.clone();
    now.spec.description = "since".to_owned();
    now.spec.runtime.clear();
    assert_eq!(restored(now, &items).unwrap(), state);
    assert!(restored(state.group, &[]).is_err(), "nothing was kept");
}

#[test]
fn a_group_keeps_the_name_that_it_has_now() {
    let state = state();
    let items = items(&state, &snapshot());
    let mut now = state.group.clone();
    now.spec.name = Name::try_from("renamed".to_owned()).unwrap();
    assert_eq!(restored(now.clone(), &items).unwrap().group, now);
}

#[test]
fn a_hash_changes_with_what_was_configured_and_not_with_the_time() {
    let (before, mut after) = (state(), state());
    after.services[0].updated_at = Utc::now();
    let hashes = |state: &DesiredState| -> Vec<String> {
        let items = items(state, &snapshot());
        items.into_iter().map(|kept| kept.item.hash).collect()
    };
    assert_eq!(hashes(&before), hashes(&after));
    after.services[0].spec.name = Name::try_from("other".to_owned()).unwrap();
    let changed = hashes(&before).into_iter().zip(hashes(&after)).filter(|(a, b)| a != b).count();
    assert_eq!(changed, 1);
}

#[test]
fn each_resource_of_the_snapshot_is_kept() {
    let state = state();
    let snapshot = snapshot();
    let items = items(&state, &snapshot);
    let of = |kind: &ItemKind| items.iter().filter(|kept| kept.item.kind == *kind).count();
    for resource_type in snapshot.types() {
        let kind = ItemKind::Resource(resource_type.to_string());
        assert_eq!(of(&kind), snapshot.count(resource_type), "{kind}");
    }
    assert_eq!(Noun::ALL.map(|noun| of(&ItemKind::Desired(noun))), [1; 5]);
}
