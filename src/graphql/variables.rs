//! What a document needs to be given with it.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextValidation,
};
use async_graphql::parser::types::{ExecutableDocument, VariableDefinition};
use async_graphql::{
    Positioned, ServerError, ServerResult, ValidationResult, Variables, async_trait,
};
use parking_lot::Mutex;

/// Refuses a good document whose operation needs a variable that is not given, before
/// anything of it is done. async-graphql finds out in the midst of it.
pub(super) struct Needed;

/// What to say of the variable that a request lacks.
#[derive(Default)]
struct Missing(Mutex<Option<ServerError>>);

impl ExtensionFactory for Needed {
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
        let document = next.run(ctx, query, variables).await?;
        *self.0.lock() = missing(&document, variables);
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

/// What to say of the first variable that the operation needs and is not given. Which of
/// several operations is meant is not known here: see [`super::errors`].
fn missing(document: &ExecutableDocument, variables: &Variables) -> Option<ServerError> {
    let mut operations = document.operations.iter();
    let (Some((_, operation)), None) = (operations.next(), operations.next()) else { return None };
    let is_missing = |variable: &&Positioned<VariableDefinition>| {
        let VariableDefinition { name, var_type, default_value, .. } = &variable.node;
        let is_needed = !var_type.node.nullable && default_value.is_none();
        is_needed && !variables.contains_key(&name.node)
    };
    let variable = operation.node.variable_definitions.iter().find(is_missing)?;
    let VariableDefinition { name, var_type, .. } = &variable.node;
    let (name, var_type) = (&name.node, &var_type.node);
    let said = format!("Variable \"${name}\" of type \"{var_type}\" is required but not provided");
    Some(ServerError::new(said, Some(variable.pos)))
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
}
