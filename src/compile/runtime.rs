//! A group's runtime settings become one runtime layer.

use std::collections::BTreeMap;

use envoy_types::pb::google::protobuf;
use marchproxy_xds::{Resource, ResourceType};

use super::names;
use crate::model::{NodeGroup, RuntimeValue};

/// `envoy.service.runtime.v3.Runtime`, with its settings in order.
///
/// The generated type keeps them in a hash map, whose order is chance; the
/// bytes of a resource must not be.
#[derive(Clone, PartialEq, prost::Message)]
struct Runtime {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    layer: Option<Struct>,
}

/// `google.protobuf.Struct`, in order.
#[derive(Clone, PartialEq, prost::Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, protobuf::Value>,
}

/// Compiles the runtime layer of a group; it is there even if it says nothing.
pub(super) fn layer(group: &NodeGroup) -> Resource {
    let fields = group.spec.runtime.iter().map(|(key, value)| (key.0.to_string(), setting(value)));
    let message = Runtime {
        name: names::RUNTIME_LAYER.to_owned(),
        layer: Some(Struct { fields: fields.collect() }),
    };
    Resource::encode(ResourceType::Runtime, names::RUNTIME_LAYER, &message)
}

fn setting(value: &RuntimeValue) -> protobuf::Value {
    use protobuf::value::Kind;
    let kind = match value {
        RuntimeValue::Bool(flag) => Kind::BoolValue(*flag),
        RuntimeValue::Number(number) => Kind::NumberValue(*number),
        RuntimeValue::Text(text) => Kind::StringValue(text.clone()),
    };
    protobuf::Value { kind: Some(kind) }
}
