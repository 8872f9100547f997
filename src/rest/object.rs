//! Objects within bodies, and nothing that could be taken for one.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Reads an object, or null. Derived code takes a list, too, for the fields in
/// their order: that is a mistake, and would be taken for nothing said.
pub(in crate::rest) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    from.deserialize_option(Nullable(PhantomData))
}

struct Nullable<T>(PhantomData<T>);

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Nullable<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(Object(PhantomData)).map(Some)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Inner {
        n: Option<i32>,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(default, deserialize_with = "object")]
        inner: Option<Inner>,
    }

    #[test]
    fn an_object_is_an_object_and_a_list_is_none() {
        let read = |text: &str| serde_json::from_str::<Outer>(text).map(|outer| outer.inner);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"inner": null}"#).unwrap(), None);
        assert_eq!(read(r#"{"inner": {}}"#).unwrap(), Some(Inner { n: None }));
        assert_eq!(read(r#"{"inner": {"n": 1}}"#).unwrap(), Some(Inner { n: Some(1) }));
        for bad in [r#"{"inner": []}"#, r#"{"inner": [1]}"#, r#"{"inner": "n"}"#] {
            assert!(read(bad).unwrap_err().to_string().contains("expected a map"), "{bad}");
        }
    }
}
