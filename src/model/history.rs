//! What history keeps of each revision, thing by thing.

use std::fmt;

/// What a kept thing is.
///
/// Compiled after desired, each by name: the order in which history shows them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// Something that people configured.
    Desired(Noun),
    /// A resource that was compiled of it, of this type (`cluster`).
    Resource(String),
}

/// What people configure that history keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the nouns")]
pub enum Noun {
    NodeGroup,
    Service,
    Listener,
    Route,
    Mapping,
}

/// Which things of a revision are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// What people had configured.
    Desired,
    /// What was compiled of it.
    Resources,
}

/// One thing as it was at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Which one of these: a resource's name, or a noun's id.
    pub name: String,
    /// Stands for the content: the same hash, the same content.
    pub hash: String,
}

/// A thing with its content: an encoded `google.protobuf.Any` of a resource, or
/// JSON of what people configured.
///
/// Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptItem {
    /// Which thing.
    pub item: Item,
    /// What it is made of.
    pub content: Vec<u8>,
}

/// A text that is no [`ItemKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names nothing that history keeps")]
pub struct ItemKindError;

impl Noun {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NodeGroup, Self::Service, Self::Listener, Self::Route, Self::Mapping];

    /// What it is called, here and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeGroup => "node group",
            Self::Service => "service",
            Self::Listener => "listener",
            Self::Route => "route",
            Self::Mapping => "mapping",
        }
    }
}

impl ItemKind {
    /// Whether it is asked for.
    pub fn is_among(&self, which: Which) -> bool {
        match self {
            Self::Desired(_) => which == Which::Desired,
            Self::Resource(_) => which == Which::Resources,
        }
    }
}

const DESIRED: &str = "desired/";
const RESOURCE: &str = "resource/";

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desired(noun) => write!(f, "{DESIRED}{}", noun.as_str()),
            Self::Resource(resource_type) => write!(f, "{RESOURCE}{resource_type}"),
        }
    }
}

impl TryFrom<String> for ItemKind {
    type Error = ItemKindError;

    fn try_from(kind: String) -> Result<Self, ItemKindError> {
        if let Some(resource_type) = kind.strip_prefix(RESOURCE) {
            return Ok(Self::Resource(resource_type.to_owned()));
        }
        let noun = kind.strip_prefix(DESIRED).ok_or(ItemKindError)?;
        let noun = Noun::ALL.into_iter().find(|known| known.as_str() == noun);
        noun.map(Self::Desired).ok_or(ItemKindError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        let kinds = Noun::ALL.map(ItemKind::Desired);
        for kind in kinds.into_iter().chain([ItemKind::Resource("virtual host".to_owned())]) {
            assert_eq!(ItemKind::try_from(kind.to_string()), Ok(kind));
        }
        for bad in ["", "service", "desired/virtual host"] {
            assert_eq!(ItemKind::try_from(bad.to_owned()), Err(ItemKindError), "{bad:?}");
        }
    }
}
