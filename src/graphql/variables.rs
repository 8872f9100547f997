//! What a document is given with it, and what not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextValidation,
};
use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection,
    SelectionSet, VariableDefinition,
};
use async_graphql::{
    Name, Positioned, ServerError, ServerResult, ValidationResult, Variables, async_trait,
};
use async_graphql_value::Value;
use parking_lot::Mutex;

/// Reads variables that are not given as the specification has it. async-graphql takes
/// them for null, which takes things away, and finds out in the midst of an operation that
/// it needs one.
pub(super) struct Given;

/// What to say of the variable that a request lacks.
#[derive(Default)]
struct Missing(Mutex<Option<ServerError>>);

impl ExtensionFactory for Given {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Missing::default())
    }
}

#[async_trait::async_trait]
impl Extension for Missing {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let mut document = next.run(ctx, query, variables).await?;
        *self.0.lock() = missing(&document, variables);
        leave_out(&mut document, variables);
        Ok(document)
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await?;
        let missing = self.0.lock().take();
        match missing {
            Some(missing) => Err(vec![missing]),
            None => Ok(result),
        }
    }
}

fn is_needed(variable: &VariableDefinition) -> bool {
    !variable.var_type.node.nullable && variable.default_value.is_none()
}

/// What to say of the first variable that the operation needs and is not given. Which of
/// several operations is meant is not known here: see [`super::errors`].
fn missing(document: &ExecutableDocument, variables: &Variables) -> Option<ServerError> {
    let mut operations = document.operations.iter();
    let (Some((_, operation)), None) = (operations.next(), operations.next()) else { return None };
    let is_missing = |variable: &&Positioned<VariableDefinition>| {
        is_needed(&variable.node) && !variables.contains_key(&variable.node.name.node)
    };
    let variable = operation.node.variable_definitions.iter().find(is_missing)?;
    let (name, of) = (&variable.node.name.node, &variable.node.var_type.node);
    let said = format!("Variable \"${name}\" of type \"{of}\" is required but not provided");
    Some(ServerError::new(said, Some(variable.pos)))
}

/// Leaves out of a document what it says by variables that are not given and have no
/// default: then it is as if it did not say that.
fn leave_out(document: &mut ExecutableDocument, variables: &Variables) {
    let mut absent: HashMap<Name, bool> = HashMap::new();
    for (_, operation) in document.operations.iter() {
        for Positioned { node: variable, .. } in &operation.node.variable_definitions {
            // What the operations do not agree on stays as it is.
            let is_absent = variable.var_type.node.nullable
                && variable.default_value.is_none()
                && !variables.contains_key(&variable.name.node);
            *absent.entry(variable.name.node.clone()).or_insert(true) &= is_absent;
        }
    }
    absent.retain(|_, is_absent| *is_absent);
    if absent.is_empty() {
        return;
    }
    let mut absent = Absent { names: absent.into_keys().collect(), used: HashSet::new() };
    let mut sets = vec![];
    for operation in operations(&mut document.operations) {
        absent.directives(&mut operation.directives);
        sets.push(&mut operation.selection_set.node);
    }
    for fragment in document.fragments.values_mut() {
        absent.directives(&mut fragment.node.directives);
        sets.push(&mut fragment.node.selection_set.node);
    }
    absent.selected(sets);
    // What is not used any more may not be named either.
    for operation in operations(&mut document.operations) {
        operation.variable_definitions.retain(|v| !absent.used.contains(&v.node.name.node));
    }
}

fn operations(operations: &mut DocumentOperations) -> Vec<&mut OperationDefinition> {
    match operations {
        DocumentOperations::Single(operation) => vec![&mut operation.node],
        DocumentOperations::Multiple(all) => all.values_mut().map(|o| &mut o.node).collect(),
    }
}

/// The variables that are as if nothing were said by them.
struct Absent {
    names: HashSet<Name>,
    /// By which something was said.
    used: HashSet<Name>,
}

impl Absent {
    fn selected(&mut self, mut sets: Vec<&mut SelectionSet>) {
        while let Some(set) = sets.pop() {
            for selection in &mut set.items {
                match &mut selection.node {
                    Selection::Field(field) => {
                        self.arguments(&mut field.node.arguments);
                        self.directives(&mut field.node.directives);
                        sets.push(&mut field.node.selection_set.node);
                    }
                    Selection::InlineFragment(inline) => {
                        self.directives(&mut inline.node.directives);
                        sets.push(&mut inline.node.selection_set.node);
                    }
                    Selection::FragmentSpread(spread) => {
                        self.directives(&mut spread.node.directives);
                    }
                }
            }
        }
    }

    fn directives(&mut self, directives: &mut [Positioned<Directive>]) {
        directives.iter_mut().for_each(|directive| self.arguments(&mut directive.node.arguments));
    }

    fn arguments(&mut self, arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>) {
        arguments.retain(|(_, value)| !self.leaves_out(&value.node));
        arguments.iter_mut().for_each(|(_, value)| self.within(&mut value.node));
    }

    fn within(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, value| !self.leaves_out(value));
                fields.values_mut().for_each(|value| self.within(value));
            }
            Value::List(items) => {
                for item in items {
                    if self.leaves_out(item) {
                        *item = Value::Null; // a place in a list stays
                    } else {
                        self.within(item);
                    }
                }
            }
            Value::Variable(_)
            | Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_) => {}
        }
    }

    fn leaves_out(&mut self, value: &Value) -> bool {
        let Value::Variable(name) = value else { return false };
        let is_absent = self.names.contains(name);
        if is_absent {
            self.used.insert(name.clone());
        }
        is_absent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_needed_and_not_given_is_named() {
        let said = |query: &str| {
            let document = async_graphql::parser::parse_query(query).unwrap();
            let given = Variables::from_json(serde_json::json!({ "given": 1, "null": null }));
            missing(&document, &given).map(|error| error.message)
        };
        let want = r#"Variable "$b" of type "[ID!]!" is required but not provided"#;
        assert_eq!(said("query($a: ID, $b: [ID!]!, $c: Int!) { a }").as_deref(), Some(want));
        for none in [
            "query($given: Int!, $null: Int!, $c: Int! = 1, $d: Int) { a }",
            "query a($b: ID!) { c } query d { e }",
            "{ a }",
        ] {
            assert_eq!(said(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_said_by_a_variable_that_is_not_given_is_not_said() {
        let parse = |text: &str| async_graphql::parser::parse_query(text).unwrap();
        let given = Variables::from_json(serde_json::json!({ "given": 1, "null": null }));
        for (text, want) in [
            (
                "query($a: Int, $given: Int, $null: Int) {
                     f(x: $a, y: $given, z: $null) { g(x: $a) } }",
                "query($given: Int, $null: Int) { f(y: $given, z: $null) { g } }",
            ),
            (
                "query($a: Int) { f(x: {y: $a, z: [$a, {y: $a}], v: 1}) { ...p } }
                 fragment p on F { ... on F { g(x: $a) } }",
                "query { f(x: {z: [null, {}], v: 1}) { ...p } } fragment p on F { ... on F { g } }",
            ),
            // One that has a default or is needed, and one that nothing is said by.
            ("query($a: Int = 1, $b: Int!) { f(x: $a, y: $b) }", ""),
            ("query($a: Int) { f }", ""),
            ("query a($a: Int) { f(x: $a) } query b($a: Int = 1) { f(x: $a) }", ""),
        ] {
            let mut document = parse(text);
            leave_out(&mut document, &given);
            let want = parse(if want.is_empty() { text } else { want });
            assert_eq!(plain(&document), plain(&want), "{text}");
        }
    }

    /// A document, without the places where things stand in its text.
    fn plain(document: &ExecutableDocument) -> serde_json::Value {
        fn without_places(value: &mut serde_json::Value) {
            match value {
                serde_json::Value::Object(fields) => {
                    fields.remove("pos");
                    fields.values_mut().for_each(without_places);
                }
                serde_json::Value::Array(items) => items.iter_mut().for_each(without_places),
                serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::String(_) => {}
            }
        }
        let mut value = serde_json::to_value(document).unwrap();
        without_places(&mut value);
        value
    }
}
