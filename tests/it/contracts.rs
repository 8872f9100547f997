//! Shapes that clients were written against.

use std::process::Command;

#[test]
fn the_graphql_schema_is_the_one_that_is_checked_in() {
    let printed = Command::new(env!("CARGO_BIN_EXE_marchproxy")).arg("schema").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let kept = include_str!("../../schema/api.graphql");
    assert!(
        printed == kept,
        "the schema has changed: if that is meant, run `make schema` and look at the diff"
    );
}
