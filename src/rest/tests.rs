//! Rights: every operation of the document has a row in the one table.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::auth::{Needs, Operation};

/// What tells nothing of what is configured: no row, and nobody is asked who they are.
const OPEN: [&str; 7] =
    ["about", "api_healthz", "healthz", "jwks", "metrics", "readyz", "xds_stats"];

#[test]
fn every_operation_has_one_row_among_the_rights() {
    let document = serde_json::to_value(super::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations: Vec<&Value> = paths
        .flat_map(|path| path.as_object().unwrap().values())
        .filter(|operation| operation["operationId"].is_string())
        .collect();
    assert!(!operations.is_empty());
    let rows =
        || Operation::ALL.iter().flat_map(|row| row.rest().iter().map(move |id| (*id, *row)));
    let unique: BTreeSet<_> = rows().map(|(id, _)| id).collect();
    assert_eq!(unique.len(), rows().count(), "an operation has two rows");
    let mut wrong = vec![];
    for operation in operations {
        let id = operation["operationId"].as_str().unwrap();
        // `security: [{}]` is how a document says that nobody has to sign in.
        let is_open = operation["security"] == serde_json::json!([{}]);
        let row = rows().find(|(of, _)| *of == id);
        match row.map(|(_, row)| row.needs()) {
            None if OPEN.contains(&id) && is_open => {}
            None => wrong.push(format!("{id} has no row in auth/rights.rs")),
            Some(needs) if (needs == Needs::Nothing) == is_open => {}
            Some(needs) => wrong.push(format!("{id} needs {needs:?}, and is open: {is_open}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
