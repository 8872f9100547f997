//! What is said of a mapping, into domain types.
//!
//! Lists come as JSON, or as one text with commas, as rows of old have it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app;
use crate::model::Labels;
use crate::model::{
    At as _, Invalid, MappingChange, MappingProtocol, MappingSpec, PortRange, ServiceId, Services,
};
use crate::rest::input::{parsed, text};

/// A mapping to be made.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewMapping {
    /// Unique in its cluster.
    #[schema(min_length = 1, max_length = 100, example = "web-to-api")]
    name: String,
    /// The cluster whose proxies are to know it.
    #[schema(minimum = 1, example = 1)]
    cluster_id: i32,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Who may reach: `"all"`, or ids of services, as `[1, 2]` or `"1,2"`.
    #[schema(example = json!("all"))]
    source_services: Value,
    /// Whom: `"all"`, or ids of services, as `[1, 2]` or `"1,2"`.
    #[schema(example = json!([7]))]
    dest_services: Value,
    /// By what: some of `tcp`, `udp`, `icmp`, `http` and `https`, as a list or as
    /// `"tcp,udp"`, which it is if not said.
    #[schema(example = json!(["tcp", "udp"]))]
    protocols: Option<Value>,
    /// At which ports: `80`, `"80-90"`, `"80,443"`, or a list of such; any if not
    /// said.
    #[schema(example = json!([80, {"range": [8000, 8080]}]))]
    ports: Option<Value>,
    /// Whether who reaches must prove themselves to the proxy.
    #[schema(default = true)]
    auth_required: Option<bool>,
    #[schema(max_length = 1000)]
    comments: Option<String>,
}

/// What to change of a mapping; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct MappingPatch {
    /// Unique in its cluster.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    source_services: Option<Value>,
    dest_services: Option<Value>,
    protocols: Option<Value>,
    ports: Option<Value>,
    auth_required: Option<bool>,
    #[schema(max_length = 1000)]
    comments: Option<String>,
    /// Whether it counts.
    is_active: Option<bool>,
}

impl NewMapping {
    pub(super) fn parse(self) -> Result<app::NewMapping, Invalid> {
        let protocols = self.protocols.as_ref().map(protocols).transpose()?;
        let spec = MappingSpec {
            labels: Labels::NONE,
            name: self.name.try_into().at("name")?,
            description: text(self.description.unwrap_or_default(), "description")?,
            sources: services(&self.source_services, "source_services")?,
            destinations: services(&self.dest_services, "dest_services")?,
            protocols: protocols
                .unwrap_or_else(|| [MappingProtocol::Tcp, MappingProtocol::Udp].into()),
            ports: self.ports.as_ref().map(ports).transpose()?.unwrap_or_default(),
            auth_required: self.auth_required.unwrap_or(true),
            comments: text(self.comments.unwrap_or_default(), "comments")?,
            is_active: true,
        };
        Ok(app::NewMapping { group: Some(self.cluster_id.try_into().at("cluster_id")?), spec })
    }
}

impl MappingPatch {
    pub(super) fn parse(self) -> Result<MappingChange, Invalid> {
        let sources = self.source_services.map(|s| services(&s, "source_services"));
        let destinations = self.dest_services.map(|s| services(&s, "dest_services"));
        Ok(MappingChange {
            labels: None,
            if_revision: None,
            name: parsed(self.name, "name")?,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            sources: sources.transpose()?,
            destinations: destinations.transpose()?,
            protocols: self.protocols.as_ref().map(protocols).transpose()?,
            ports: self.ports.as_ref().map(ports).transpose()?,
            auth_required: self.auth_required,
            comments: self.comments.map(|c| text(c, "comments")).transpose()?,
            is_active: self.is_active,
        })
    }
}

/// `"all"`, `["all"]`, `"1,2"`, `1` or `[1, 2]`.
fn services(value: &Value, field: &str) -> Result<Services, Invalid> {
    let items = items(value);
    if let [Value::String(word)] = items.as_slice()
        && word.eq_ignore_ascii_case("all")
    {
        return Ok(Services::All);
    }
    let id = |item: &Value| {
        let number = item.as_i64().or_else(|| item.as_str()?.parse().ok());
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.and_then(|number| ServiceId::try_from(number).ok()).ok_or("must be \"all\", or ids")
    };
    let ids: Result<BTreeSet<_>, _> = items.iter().map(id).collect();
    Ok(Services::These(ids.at(field)?))
}

/// `"tcp,udp"` or `["tcp", "udp"]`.
fn protocols(value: &Value) -> Result<BTreeSet<MappingProtocol>, Invalid> {
    let protocol = |item: Value| {
        let word = item.as_str().unwrap_or_default().to_ascii_lowercase();
        MappingProtocol::try_from(word).at("protocols")
    };
    items(value).into_iter().map(protocol).collect()
}

/// `80`, `"80-90"`, `"80,443"`, or a list of such, or of `{"range": [80, 90]}`.
fn ports(value: &Value) -> Result<Vec<PortRange>, Invalid> {
    let range = |item: Value| {
        let range = match &item {
            Value::String(text) => text.clone(),
            Value::Number(port) => port.to_string(),
            Value::Object(object) => match object.get("range").and_then(Value::as_array) {
                Some(ends) => ends.iter().map(ToString::to_string).collect::<Vec<_>>().join("-"),
                None => String::new(),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
        };
        PortRange::try_from(range).at("ports")
    };
    items(value).into_iter().map(range).collect()
}

/// The items of a list, or of a text with commas, or one item alone.
fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::String(text) if text.trim().is_empty() => vec![],
        Value::String(text) => text.split(',').map(|part| part.trim().into()).collect(),
        Value::Null => vec![],
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.clone()],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_are_named_in_many_ways() {
        let these = |ids: &[i32]| {
            Ok(Services::These(ids.iter().map(|id| (*id).try_into().unwrap()).collect()))
        };
        let wrong = || Err("s: must be \"all\", or ids".to_owned());
        let table = [
            (json!("all"), Ok(Services::All)),
            (json!(["ALL"]), Ok(Services::All)),
            (json!([2, 1, 2]), these(&[1, 2])),
            (json!("1, 2"), these(&[1, 2])),
            (json!(7), these(&[7])),
            (json!([]), these(&[])),
            (json!([1, "all"]), wrong()),
            (json!([0]), wrong()),
            (json!([99_999_999_999_i64]), wrong()),
            (json!({}), wrong()),
        ];
        for (value, want) in table {
            assert_eq!(services(&value, "s").map_err(|e| e.to_string()), want, "{value}");
        }
    }

    #[test]
    fn ports_are_named_in_many_ways() {
        let table = [
            (json!(80), Some("80")),
            (json!("80"), Some("80")),
            (json!("80,443-445"), Some("80 443-445")),
            (json!([80, "90-91", { "range": [1, 2] }]), Some("80 90-91 1-2")),
            (json!([]), Some("")),
            (json!([null]), None),
            (json!([{ "range": [2, 1] }]), None),
            (json!([{ "range": [1, 2, 3] }]), None),
            (json!([0]), None),
            (json!([1.5]), None),
        ];
        for (value, want) in table {
            let got = ports(&value)
                .ok()
                .map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(got.as_deref(), want, "{value}");
        }
    }
}
