//! Shapes that clients were written against.

use std::process::Command;

#[test]
fn the_openapi_document_is_the_one_that_is_checked_in() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marchproxy"));
    let printed = command.args(["schema", "--rest"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let kept = include_str!("../../schema/rest.openapi.json");
    assert!(
        printed == kept,
        "the document has changed: if that is meant, run `make schema` and look at the diff"
    );
}

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

/// What people read in a playground beside each name. async-graphql makes the
/// connections, and leaves those undescribed.
#[test]
fn everything_in_the_graphql_schema_is_described() {
    use async_graphql::parser::parse_schema;
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
    let document = parse_schema(include_str!("../../schema/api.graphql")).unwrap();
    let mut missing = vec![];
    let mut count = 0;
    let mut look = |name: String, described: bool| {
        count += 1;
        if !described {
            missing.push(name);
        }
    };
    for definition in document.definitions {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let of = of.node;
        let name = of.name.node.to_string();
        look(name.clone(), of.description.is_some() || name.ends_with("Connection"));
        let mut member = |member: &str, described| look(format!("{name}.{member}"), described);
        match of.kind {
            TypeKind::Object(object) => object.fields.iter().for_each(|field| {
                let (field, arguments) = (&field.node, &field.node.arguments);
                member(&field.name.node, field.description.is_some());
                for argument in arguments {
                    let name = format!("{}({})", field.name.node, argument.node.name.node);
                    member(&name, argument.node.description.is_some());
                }
            }),
            TypeKind::Interface(interface) => interface.fields.iter().for_each(|field| {
                member(&field.node.name.node, field.node.description.is_some());
            }),
            TypeKind::InputObject(input) => input.fields.iter().for_each(|field| {
                member(&field.node.name.node, field.node.description.is_some());
            }),
            TypeKind::Enum(of) => of.values.iter().for_each(|value| {
                member(&value.node.value.node, value.node.description.is_some());
            }),
            TypeKind::Union(_) | TypeKind::Scalar => {}
        }
    }
    assert!(count > 700, "only {count}");
    assert!(missing.is_empty(), "{missing:#?}");
}
