//! What a proxy refuses, as it is kept.

use serde::{Deserialize, Serialize};

/// A response that a proxy refused, as history and the event log keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// The name of the type that it was of.
    pub resource_type: String,
    /// The version that was refused.
    pub version: String,
    /// The proxy's status code; not a stable one.
    pub code: i32,
    /// The proxy's own words.
    pub message: String,
    /// The resources in the refused response.
    pub resources: Vec<String>,
    /// Those of them that the proxy's words name.
    pub culprits: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use crate::model::{Happening, KeptRefusal};

    #[test]
    fn what_is_kept_of_a_refusal_is_read_and_written_as_ever() {
        let kept = json!({
            "node": "n",
            "resource_type": "cluster",
            "version": "v",
            "code": 13,
            "message": "no",
            "resources": ["a", "b"],
            "culprits": ["a"],
            "at": "2026-01-01T00:00:00Z",
        });
        let read: KeptRefusal = from_value(kept.clone()).unwrap();
        assert_eq!(to_value(read).unwrap(), kept);
        let told = json!({
            "kind": "node_nacked",
            "node": {
                "instance": "i",
                "id": 7,
                "name": "n",
                "address": null,
                "software": "envoy",
                "acked": { "cluster": "v" },
                "revision": 3,
            },
            "resource_type": "cluster",
            "version": "v",
            "revision": 4,
            "code": 13,
            "message": "no",
            "resources": ["a", "b"],
            "culprits": ["a"],
        });
        let read: Happening = from_value(told.clone()).unwrap();
        assert!(matches!(&read, Happening::NodeNacked(report) if report.nack.code == 13));
        assert_eq!(to_value(read).unwrap(), told);
    }
}
