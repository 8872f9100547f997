//! What is kept, as people and programs read it: JSON, and what has changed.

use std::collections::BTreeMap;

use prost_reflect::SerializeOptions;
use serde_json::{Map, Value};
use similar::TextDiff;

use super::broken;
use crate::envoy_api;
use crate::error::Result;
use crate::model::{Item, ItemKind, KeptItem};

/// How many lines of a difference are shown that are no different.
const CONTEXT: usize = 3;

/// One thing that is not the same in two revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemChange {
    /// What it is.
    pub kind: ItemKind,
    /// Which one of these.
    pub name: String,
    /// What it was; none if it was not there.
    pub from: Option<Item>,
    /// What it has become; none if it is not there any more.
    pub to: Option<Item>,
}

/// A kept thing as JSON: a resource as Envoy writes it in a `config_dump`, a noun
/// as it is kept. Sorted by name, so that the same content is the same text.
pub fn json(kept: &KeptItem) -> Result<Value> {
    let KeptItem { item, content } = kept;
    let value = match item.kind {
        ItemKind::Desired(_) => serde_json::from_slice(content).map_err(|e| broken(item, &e))?,
        ItemKind::Resource(_) => envoy_json(content).map_err(|e| broken(item, &e))?,
    };
    Ok(sorted(value))
}

/// What of `from` and `to` is not the same, in the order in which history shows it.
pub fn changes(from: Vec<Item>, to: Vec<Item>) -> Vec<ItemChange> {
    let mut both: BTreeMap<(ItemKind, String), (Option<Item>, Option<Item>)> = BTreeMap::new();
    for item in from {
        let place = (item.kind.clone(), item.name.clone());
        both.entry(place).or_default().0 = Some(item);
    }
    for item in to {
        let place = (item.kind.clone(), item.name.clone());
        both.entry(place).or_default().1 = Some(item);
    }
    let changed = both.into_iter().filter(|(_, (from, to))| from != to);
    changed.map(|((kind, name), (from, to))| ItemChange { kind, name, from, to }).collect()
}

/// How a thing became another, line by line of its JSON, as `diff -u` writes it.
pub fn unified_diff(from: Option<&Value>, to: Option<&Value>) -> String {
    let text = |value: Option<&Value>| match value {
        None => String::new(),
        Some(value) => format!("{value:#}\n"),
    };
    let (from, to) = (text(from), text(to));
    TextDiff::from_lines(&from, &to).unified_diff().context_radius(CONTEXT).to_string()
}

/// Reads an encoded `google.protobuf.Any` by the descriptors of Envoy's API.
fn envoy_json(any: &[u8]) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let message = envoy_api::read_any(any)?;
    let options = SerializeOptions::new().use_proto_field_name(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            let fields = fields.into_iter().map(|(name, value)| (name, sorted(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => leaf,
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3 as envoy_cluster;
    use envoy_types::pb::google::protobuf::Duration;
    use marchproxy_xds::{Resource, ResourceType};
    use serde_json::json;

    use super::*;

    fn item(name: &str, hash: &str) -> Item {
        let kind = ItemKind::Resource("cluster".to_owned());
        Item { kind, name: name.to_owned(), hash: hash.to_owned() }
    }

    #[test]
    fn a_resource_is_shown_as_envoy_would() {
        let cluster = envoy_cluster::Cluster {
            name: "c".to_owned(),
            connect_timeout: Some(Duration { seconds: 5, nanos: 500_000_000 }),
            ..Default::default()
        };
        let resource = Resource::encode(ResourceType::Cluster, "c", &cluster);
        let kept = KeptItem { item: item("c", "1"), content: resource.body().to_vec() };
        let want = json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "connect_timeout": "5.500s",
            "name": "c",
        });
        assert_eq!(json(&kept).unwrap(), want);
        let kept = KeptItem { content: b"\x0a\xff".to_vec(), ..kept };
        assert!(json(&kept).is_err());
    }

    #[test]
    fn what_came_went_and_changed_is_told_apart() {
        let from = vec![item("a", "1"), item("b", "1"), item("c", "1")];
        let to = vec![item("d", "1"), item("c", "2"), item("b", "1")];
        let changes = changes(from, to);
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (change.name.as_str(), change.from.is_some(), change.to.is_some()))
            .collect();
        assert_eq!(shown, [("a", true, false), ("c", true, true), ("d", false, true)]);
    }

    #[test]
    fn a_difference_is_shown_by_its_lines() {
        let (one, two) = (json!({ "a": 1, "b": [1, 2] }), json!({ "a": 1, "b": [1, 3] }));
        let diff = unified_diff(Some(&one), Some(&two));
        assert!(diff.contains("-    2\n") && diff.contains("+    3\n"), "{diff}");
        assert!(diff.contains("   \"a\": 1,\n"), "{diff}");
        assert!(unified_diff(None, Some(&one)).contains("+  \"a\": 1,"));
        assert_eq!(unified_diff(Some(&one), Some(&one)), "");
    }
}
