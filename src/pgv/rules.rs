//! One field's rules, asked of its value.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use parking_lot::Mutex;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use regex::Regex;

use super::{Violation, broken, entries_in_order, is_set};

/// `validate.KnownRegex.HTTP_HEADER_NAME`.
const HEADER_NAME: i32 = 1;
/// `validate.KnownRegex.HTTP_HEADER_VALUE`.
const HEADER_VALUE: i32 = 2;

/// A number, or a length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
    Nanos(i128),
}

/// Whether rules want their field to be set.
pub(super) fn is_required(rules: &DynamicMessage) -> bool {
    rules.fields().any(|(_, of)| of.as_message().is_some_and(|of| is_set(of, "required")))
}

/// Whether rules say not to look into the field's message.
pub(super) fn is_skipped(rules: &DynamicMessage) -> bool {
    let message = rules.get_field_by_name("message");
    message.as_deref().and_then(Value::as_message).is_some_and(|of| is_set(of, "skip"))
}

/// Asks `rules`, a `validate.FieldRules`, of the value of `field`.
pub(super) fn check(
    rules: &DynamicMessage,
    field: &FieldDescriptor,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    for (kind, of) in rules.fields() {
        let Some(of) = of.as_message() else { continue };
        match (kind.name(), value) {
            ("message", _) => {}
            ("repeated", Value::List(items)) => check_list(of, field, items, path, found),
            ("map", Value::Map(entries)) => check_map(of, field, entries, path, found),
            (_, value) => check_value(of, &field.kind(), value, path, found),
        }
    }
}

fn check_list(
    rules: &DynamicMessage,
    field: &FieldDescriptor,
    items: &[Value],
    path: &str,
    found: &mut Vec<Violation>,
) {
    if items.is_empty() && is_set(rules, "ignore_empty") {
        return;
    }
    check_count(rules, ["min_items", "max_items"], "items", items.len(), path, found);
    if is_set(rules, "unique") {
        for (number, item) in items.iter().enumerate() {
            if items[..number].contains(item) {
                found.push(broken(&at_number(path, number), "must not be there twice"));
            }
        }
    }
    if let Some(rules) = below(rules, "items") {
        for (number, item) in items.iter().enumerate() {
            check(&rules, field, item, &at_number(path, number), found);
        }
    }
}

fn check_map(
    rules: &DynamicMessage,
    field: &FieldDescriptor,
    entries: &HashMap<MapKey, Value>,
    path: &str,
    found: &mut Vec<Violation>,
) {
    if entries.is_empty() && is_set(rules, "ignore_empty") {
        return;
    }
    check_count(rules, ["min_pairs", "max_pairs"], "entries", entries.len(), path, found);
    let Kind::Message(entry) = field.kind() else { return };
    for (name, of) in
        [("keys", entry.map_entry_key_field()), ("values", entry.map_entry_value_field())]
    {
        let Some(rules) = below(rules, name) else { continue };
        for (key, value) in entries_in_order(entries) {
            let value = if name == "keys" { &Value::from(key.clone()) } else { value };
            check(&rules, &of, value, &at_key(path, key), found);
        }
    }
}

fn check_count(
    rules: &DynamicMessage,
    [least, most]: [&str; 2],
    what: &str,
    count: usize,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let count = count as u64;
    if let Some(least) = size(rules, least).filter(|least| count < *least) {
        found.push(broken(path, format!("must have at least {least} {what}, not {count}")));
    }
    if let Some(most) = size(rules, most).filter(|most| count > *most) {
        found.push(broken(path, format!("must have at most {most} {what}, not {count}")));
    }
}

/// Asks the rules for one kind of values of one.
fn check_value(
    rules: &DynamicMessage,
    kind: &Kind,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let inner = unwrapped(value);
    let value = inner.as_ref().unwrap_or(value);
    if is_set(rules, "ignore_empty") && is_empty(value) {
        return;
    }
    let mut say = |reason: String| found.push(broken(path, reason));
    if let Some(reason) = number(value).and_then(|number| against_bounds(rules, number)) {
        say(reason);
    }
    if let Some(text) = value.as_str() {
        against_text(rules, text, &mut say);
    }
    if let Some(bytes) = value.as_bytes() {
        against_sizes(rules, None, bytes.len(), &mut say);
    }
    if let Some(number) = value.as_enum_number().filter(|_| is_set(rules, "defined_only"))
        && !matches!(kind, Kind::Enum(of) if of.get_value(number).is_some())
    {
        say(format!("must be a value of its enum, not {number}"));
    }
    against_lists(rules, value, &mut say);
}

fn against_bounds(rules: &DynamicMessage, value: Number) -> Option<String> {
    let bound = |name: &str| number(&*stated(rules, name)?);
    let below = |bound: Number| value.partial_cmp(&bound) == Some(Ordering::Less);
    let equal = |bound: Number| value.partial_cmp(&bound) == Some(Ordering::Equal);
    let above = |bound: Number| value.partial_cmp(&bound) == Some(Ordering::Greater);
    let lower = bound("gt")
        .map(|b| (b, above(b), format!("greater than {b}")))
        .or_else(|| bound("gte").map(|b| (b, above(b) || equal(b), format!("at least {b}"))));
    let upper = bound("lt")
        .map(|b| (b, below(b), format!("less than {b}")))
        .or_else(|| bound("lte").map(|b| (b, below(b) || equal(b), format!("at most {b}"))));
    match (lower, upper) {
        (Some((from, over, low)), Some((to, under, high))) => {
            // Bounds that cross leave out what is between them.
            let crossed = from.partial_cmp(&to) != Some(Ordering::Less);
            let (holds, word) =
                if crossed { (over || under, "or") } else { (over && under, "and") };
            (!holds).then(|| format!("must be {low} {word} {high}, not {value}"))
        }
        (Some((_, holds, says)), None) | (None, Some((_, holds, says))) => {
            (!holds).then(|| format!("must be {says}, not {value}"))
        }
        (None, None) => None,
    }
}

fn against_text(rules: &DynamicMessage, text: &str, say: &mut impl FnMut(String)) {
    against_sizes(rules, Some(text.chars().count()), text.len(), say);
    let string = |name: &str| Some(stated(rules, name)?.as_str()?.to_owned());
    if let Some(pattern) = string("pattern").filter(|pattern| !matches(pattern, text)) {
        say(format!("must match {pattern}"));
    }
    if let Some(prefix) = string("prefix").filter(|prefix| !text.starts_with(prefix)) {
        say(format!("must start with {prefix:?}"));
    }
    if let Some(suffix) = string("suffix").filter(|suffix| !text.ends_with(suffix)) {
        say(format!("must end with {suffix:?}"));
    }
    let known = rules.get_field_by_name("well_known_regex");
    let known = known.and_then(|value| value.as_enum_number()).unwrap_or_default();
    let strict = is_set(rules, "strict");
    if let Some((pattern, what)) = known_regex(known, strict)
        && !matches(pattern, text)
    {
        say(format!("must be {what}"));
    }
}

/// What protoc-gen-validate means by a known regular expression.
fn known_regex(known: i32, strict: bool) -> Option<(&'static str, &'static str)> {
    match (known, strict) {
        (HEADER_NAME, true) => Some((r"^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$", "the name of a header")),
        (HEADER_NAME, false) => {
            Some((r"^[^\x00\n\r]+$", "the name of a header, on one line and not empty"))
        }
        (HEADER_VALUE, true) => {
            Some((r"^[^\x00-\x08\n-\x1f\x7f]*$", "what a header may say: no control characters"))
        }
        (HEADER_VALUE, false) => Some((r"^[^\x00\n\r]*$", "what a header may say, on one line")),
        _ => None,
    }
}

/// `chars` is none for what has only bytes; its lengths are in bytes then.
fn against_sizes(
    rules: &DynamicMessage,
    chars: Option<usize>,
    bytes: usize,
    say: &mut impl FnMut(String),
) {
    let (unit, length) = match chars {
        Some(chars) => ("characters", chars as u64),
        None => ("bytes", bytes as u64),
    };
    for (names, unit, length) in [
        (["len", "min_len", "max_len"], unit, length),
        (["len_bytes", "min_bytes", "max_bytes"], "bytes", bytes as u64),
    ] {
        let [exactly, least, most] = names.map(|name| size(rules, name));
        if let Some(exactly) = exactly.filter(|exactly| length != *exactly) {
            say(format!("must be {exactly} {unit} long, not {length}"));
        }
        if let Some(least) = least.filter(|least| length < *least) {
            say(format!("must be at least {least} {unit} long, not {length}"));
        }
        if let Some(most) = most.filter(|most| length > *most) {
            say(format!("must be at most {most} {unit} long, not {length}"));
        }
    }
}

/// `const`, `in` and `not_in`, whatever they are of. Of an `Any` they name types.
fn against_lists(rules: &DynamicMessage, value: &Value, say: &mut impl FnMut(String)) {
    let url = value.as_message().and_then(|any| {
        let is_any = any.descriptor().full_name() == "google.protobuf.Any";
        is_any.then(|| any.get_field_by_name("type_url"))?.map(Cow::into_owned)
    });
    let value = url.as_ref().unwrap_or(value);
    let is = |other: &Value| same(value, other);
    if let Some(only) = stated(rules, "const").filter(|only| !is(only)) {
        say(format!("must be {}", shown(&only)));
    }
    let list = |name: &str| {
        let list = rules.get_field_by_name(name)?;
        list.as_list().filter(|list| !list.is_empty()).map(<[Value]>::to_vec)
    };
    if let Some(list) = list("in").filter(|list| !list.iter().any(is)) {
        let list: Vec<_> = list.iter().map(shown).collect();
        say(format!("must be one of {}", list.join(", ")));
    }
    if let Some(list) = list("not_in").filter(|list| list.iter().any(is)) {
        let list: Vec<_> = list.iter().map(shown).collect();
        say(format!("must not be {}", list.join(" or ")));
    }
}

/// Whether two values are the same; numbers whatever they are kept as.
fn same(one: &Value, other: &Value) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.partial_cmp(&other) == Some(Ordering::Equal),
        _ => one == other,
    }
}

fn shown(value: &Value) -> String {
    match (number(value), value.as_str()) {
        (Some(number), _) => number.to_string(),
        (None, Some(text)) => format!("{text:?}"),
        (None, None) => value.to_string(),
    }
}

/// What is in one of `google.protobuf`'s wrappers, if it is one.
fn unwrapped(value: &Value) -> Option<Value> {
    let message = value.as_message()?;
    let descriptor = message.descriptor();
    let name = descriptor.full_name().strip_prefix("google.protobuf.")?;
    let is_wrapper = name.ends_with("Value") && !["Value", "ListValue"].contains(&name);
    is_wrapper.then(|| message.get_field_by_name("value"))?.map(Cow::into_owned)
}

fn is_empty(value: &Value) -> bool {
    let is_zero = || number(value).is_some_and(Number::is_zero);
    let text = value.as_str().is_some_and(str::is_empty);
    let bytes = value.as_bytes().is_some_and(|bytes| bytes.is_empty());
    value.as_bool() == Some(false) || text || bytes || is_zero()
}

/// What `rules` say under this name, if they say anything.
fn stated<'a>(rules: &'a DynamicMessage, name: &str) -> Option<Cow<'a, Value>> {
    rules.get_field_by_name(name).filter(|_| rules.has_field_by_name(name))
}

fn size(rules: &DynamicMessage, name: &str) -> Option<u64> {
    stated(rules, name)?.as_u64()
}

/// The `validate.FieldRules` for what is in a list or a map.
fn below(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    stated(rules, name)?.as_message().cloned()
}

/// Whether a pattern of the API is in a text. What does not compile holds up nobody.
fn matches(pattern: &str, text: &str) -> bool {
    static KNOWN: OnceLock<Mutex<HashMap<String, Option<Regex>>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock();
    let regex = known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::I32(number) | Value::EnumNumber(number) => Some(Number::Whole((*number).into())),
        Value::I64(number) => Some(Number::Whole((*number).into())),
        Value::U32(number) => Some(Number::Whole((*number).into())),
        Value::U64(number) => Some(Number::Whole((*number).into())),
        Value::F32(number) => Some(Number::Real((*number).into())),
        Value::F64(number) => Some(Number::Real(*number)),
        Value::Message(message) => time(message),
        Value::Bool(_) | Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
            None
        }
    }
}

fn time(message: &DynamicMessage) -> Option<Number> {
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    ["google.protobuf.Duration", "google.protobuf.Timestamp"].contains(&name).then_some(())?;
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let nanos = message.get_field_by_name("nanos")?.as_i32()?;
    Some(Number::Nanos(i128::from(seconds) * 1_000_000_000 + i128::from(nanos)))
}

impl Number {
    fn is_zero(self) -> bool {
        match self {
            Self::Whole(number) | Self::Nanos(number) => number == 0,
            Self::Real(number) => number == 0.0,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (*self, *other) {
            (Self::Whole(one), Self::Whole(other)) | (Self::Nanos(one), Self::Nanos(other)) => {
                Some(one.cmp(&other))
            }
            (Self::Real(one), Self::Real(other)) => one.partial_cmp(&other),
            (Self::Whole(_) | Self::Real(_) | Self::Nanos(_), _) => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Nanos(nanos) => {
                let (sign, nanos) = (if *nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let rest = format!(".{rest:09}");
                write!(f, "{sign}{seconds}{}s", rest.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// The path of an item of a list.
pub(super) fn at_number(path: &str, number: usize) -> String {
    format!("{path}[{number}]")
}

/// The path of an entry of a map.
pub(super) fn at_key(path: &str, key: &MapKey) -> String {
    match key {
        MapKey::String(key) => format!("{path}[{key:?}]"),
        MapKey::Bool(key) => format!("{path}[{key}]"),
        MapKey::I32(key) => format!("{path}[{key}]"),
        MapKey::I64(key) => format!("{path}[{key}]"),
        MapKey::U32(key) => format!("{path}[{key}]"),
        MapKey::U64(key) => format!("{path}[{key}]"),
    }
}
