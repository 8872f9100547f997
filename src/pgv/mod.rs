//! Floor 1, pure: the rules that Envoy's API states for its own fields.
//!
//! Most of what an Envoy refuses it refuses by rules that stand in the `.proto`
//! files, as options that [protoc-gen-validate] defines: how long, how many, how
//! large, one of these. They are read from the descriptors here and asked of a
//! message before any Envoy sees it. Beside them, what the API calls deprecated.
//!
//! One thing no rule says and an Envoy looks at first: that an authority is a
//! certificate at all. Otherwise what is found is what the rules say. An Envoy may refuse
//! more: what it cannot resolve, bind or load only it knows.
//!
//! [protoc-gen-validate]: https://github.com/bufbuild/protoc-gen-validate

mod authorities;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, ReflectMessage as _, Value,
};

use crate::envoy_api;

use self::rules::{at_key, at_number};

/// Something that a message says and that the API would rather not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, as in `filter_chains[0].filters[1].name`.
    pub path: String,
    /// How bad that is.
    pub kind: ViolationKind,
    /// What is wrong with it, as in `must be greater than 0s`.
    pub reason: String,
}

/// How bad a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// It breaks a rule: an Envoy refuses the resource.
    Rule,
    /// It is deprecated: an Envoy may warn, and a later one refuse.
    Deprecated,
}

/// What there is to check of one type of messages.
struct Checks {
    fields: Vec<FieldChecks>,
    /// The fields of which one has to be set, and what they are together called.
    required: Vec<(String, Vec<FieldDescriptor>)>,
}

/// What there is to check of one field.
struct FieldChecks {
    field: FieldDescriptor,
    /// A `validate.FieldRules`.
    rules: Option<DynamicMessage>,
    deprecated: bool,
}

/// The options that rules are stated by.
struct Extensions {
    rules: ExtensionDescriptor,
    required: ExtensionDescriptor,
    disabled: ExtensionDescriptor,
    ignored: ExtensionDescriptor,
}

impl Extensions {
    fn of(pool: &DescriptorPool) -> Option<Self> {
        let named = |name| pool.get_extension_by_name(name);
        Some(Self {
            rules: named("validate.rules")?,
            required: named("validate.required")?,
            disabled: named("validate.disabled")?,
            ignored: named("validate.ignored")?,
        })
    }
}

/// What is wrong with an encoded `google.protobuf.Any`, and with all that is in it.
/// What cannot be read at all is one violation.
pub fn violations(any: &[u8]) -> Vec<Violation> {
    let mut found = vec![];
    match envoy_api::read_any(any) {
        Ok(message) => check_message(&message, "", &mut found),
        Err(e) => found.push(broken("", format!("cannot be read: {e}"))),
    }
    found
}

fn broken(path: &str, reason: impl Into<String>) -> Violation {
    Violation { path: path.to_owned(), kind: ViolationKind::Rule, reason: reason.into() }
}

fn check_message(message: &DynamicMessage, path: &str, found: &mut Vec<Violation>) {
    let descriptor = message.descriptor();
    if descriptor.full_name() == "google.protobuf.Any" {
        return check_packed(message, path, found);
    }
    if descriptor.full_name() == authorities::TRUSTING {
        found.extend(authorities::check(message, path));
    }
    let checks = checks(&descriptor);
    for FieldChecks { field, rules, deprecated } in &checks.fields {
        let (is_set, value) = (message.has_field(field), message.get_field(field));
        let path = at(path, field.name());
        if *deprecated && is_set {
            let reason = format!("{} is deprecated", field.name());
            found.push(Violation { kind: ViolationKind::Deprecated, ..broken(&path, reason) });
        }
        if is_set || !field.supports_presence() {
            if let Some(rules) = rules {
                rules::check(rules, field, &value, &path, found);
            }
            check_below(field, rules.as_ref(), &value, &path, found);
        } else if is_alone(field) && rules.as_ref().is_some_and(rules::is_required) {
            found.push(broken(&path, "must be set"));
        }
    }
    for (name, fields) in &checks.required {
        if !fields.iter().any(|field| message.has_field(field)) {
            let one_of: Vec<_> = fields.iter().map(FieldDescriptor::name).collect();
            found.push(broken(&at(path, name), format!("must be one of {}", one_of.join(", "))));
        }
    }
}

/// Whether nothing else may be set in the place of a field. Of a choice the rules are asked
/// of what is chosen.
fn is_alone(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_none_or(|choice| choice.is_synthetic())
}

/// Checks what an `Any` holds, if it is known what that is.
fn check_packed(any: &DynamicMessage, path: &str, found: &mut Vec<Violation>) {
    let (url, value) = (any.get_field_by_name("type_url"), any.get_field_by_name("value"));
    let (Some(url), Some(value)) = (url, value) else { return };
    let (Some(url), Some(bytes)) = (url.as_str(), value.as_bytes()) else { return };
    let name = url.rsplit('/').next().unwrap_or_default();
    let Some(descriptor) = envoy_api::pool().get_message_by_name(name) else { return };
    match DynamicMessage::decode(descriptor, &**bytes) {
        Ok(message) => check_message(&message, path, found),
        Err(e) => found.push(broken(path, format!("is no {name}: {e}"))),
    }
}

/// Checks the messages that a field holds, and whether an enum's value is deprecated.
fn check_below(
    field: &FieldDescriptor,
    rules: Option<&DynamicMessage>,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    if rules.is_some_and(rules::is_skipped) {
        return;
    }
    let mut kind = field.kind();
    if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
        kind = entry.map_entry_value_field().kind();
    }
    if let Some(items) = value.as_list() {
        for (number, item) in items.iter().enumerate() {
            check_one(&kind, item, &at_number(path, number), found);
        }
    } else if let Some(entries) = value.as_map() {
        for (key, item) in entries_in_order(entries) {
            check_one(&kind, item, &at_key(path, key), found);
        }
    } else {
        check_one(&kind, value, path, found);
    }
}

fn check_one(kind: &Kind, value: &Value, path: &str, found: &mut Vec<Violation>) {
    if let Value::Message(message) = value {
        check_message(message, path, found);
    }
    if let (Kind::Enum(of), Some(number)) = (kind, value.as_enum_number())
        && let Some(value) = of.get_value(number)
        && is_set(&value.options(), "deprecated")
    {
        let reason = format!("{} is deprecated", value.name());
        found.push(Violation { kind: ViolationKind::Deprecated, ..broken(path, reason) });
    }
}

/// A map's entries, sorted: what is found is always found in one order.
fn entries_in_order(entries: &HashMap<MapKey, Value>) -> Vec<(&MapKey, &Value)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn at(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether an option that is a bool is set and true.
fn is_set(options: &DynamicMessage, name: &str) -> bool {
    options.get_field_by_name(name).and_then(|value| value.as_bool()) == Some(true)
}

/// What there is to check of a type: read from its options at its first message.
fn checks(of: &MessageDescriptor) -> Arc<Checks> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Arc<Checks>>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock();
    if let Some(checks) = known.get(of.full_name()) {
        return Arc::clone(checks);
    }
    let checks = Arc::new(Checks::of(of));
    known.insert(of.full_name().to_owned(), Arc::clone(&checks));
    checks
}

impl Checks {
    fn of(message: &MessageDescriptor) -> Self {
        let none = Self { fields: vec![], required: vec![] };
        let Some(extensions) = Extensions::of(message.parent_pool()) else { return none };
        let says = |options: &DynamicMessage, option: &ExtensionDescriptor| {
            options.get_extension(option).as_bool() == Some(true)
        };
        let options = message.options();
        if says(&options, &extensions.disabled) || says(&options, &extensions.ignored) {
            return none;
        }
        let fields = message.fields().map(|field| {
            let options = field.options();
            let stated = options.has_extension(&extensions.rules);
            let rules = stated.then(|| options.get_extension(&extensions.rules).into_owned());
            let rules = rules.and_then(|rules| rules.as_message().cloned());
            FieldChecks { rules, deprecated: is_set(&options, "deprecated"), field }
        });
        let required = message.oneofs().filter(|one| says(&one.options(), &extensions.required));
        let required = required.map(|one| (one.name().to_owned(), one.fields().collect()));
        Self { fields: fields.collect(), required: required.collect() }
    }
}
