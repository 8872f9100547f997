//! Node tokens: what nodes prove with which group they belong to.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Name, NodeGroupId, NodeTokenId};

const LONGEST_NODE_ID: usize = 256;

/// A node token as it stands. The token itself is nowhere but with its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeToken {
    /// Its identity.
    pub id: NodeTokenId,
    /// The group that its bearer belongs to.
    pub group: NodeGroupId,
    /// What people said of it.
    pub spec: NodeTokenSpec,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What people say of a node token. It is never changed, only revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTokenSpec {
    /// Unique in its group.
    pub name: Name,
    /// The one node that may use it; any if there is none.
    pub node: Option<BoundNode>,
    /// When it ends; never if there is none.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A `node.id` that a token is bound to: 1 to 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundNode(String);

/// A text that no token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {LONGEST_NODE_ID} characters, none of them a control character")]
pub struct BoundNodeError;

/// SHA-256 of a token: what is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl NodeToken {
    /// Whether it is past its end.
    pub fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.spec.expires_at.is_some_and(|end| end <= now)
    }
}

impl BoundNode {
    /// The `node.id` as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BoundNode {
    type Error = BoundNodeError;

    fn try_from(id: String) -> Result<Self, BoundNodeError> {
        let length = id.chars().count();
        let good = (1..=LONGEST_NODE_ID).contains(&length) && !id.chars().any(char::is_control);
        if good { Ok(Self(id)) } else { Err(BoundNodeError) }
    }
}

impl TokenHash {
    /// Takes a hash.
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash, for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for TokenHash {
    type Error = &'static str;

    fn try_from(hash: Vec<u8>) -> Result<Self, &'static str> {
        hash.try_into().map(Self).map_err(|_| "is not 32 bytes long")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_be_bound_to_what_envoy_can_say() {
        let (longest, too_long) = ("é".repeat(256), "é".repeat(257));
        let table: [(&str, bool); 6] = [
            ("cluster-1", true),
            ("sidecar~10.0.0.1~a b/c", true),
            (&longest, true),
            ("", false),
            ("a\nb", false),
            (&too_long, false),
        ];
        for (input, want) in table {
            assert_eq!(BoundNode::try_from(input.to_owned()).is_ok(), want, "input {input:?}");
        }
    }
}
