//! What is asked for before anything is resolved: how much it is, and whether the
//! schema itself is told.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextRequest, NextValidation,
};
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{
    Positioned, Response, ServerError, ServerResult, ValidationResult, Variables, async_trait,
    value,
};
use parking_lot::Mutex;

use super::MOST_COMPLEX;
use crate::app::Authenticated;
use crate::error::Error;

/// More other names for fields than any page needs; each may cost a whole operation.
const MOST_ALIASES: usize = 100;

/// Who may ask for the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Introspection {
    /// Everybody who is signed in.
    #[default]
    SignedIn,
    /// Everybody who reaches the server.
    Everybody,
    /// Nobody.
    Nobody,
}

/// Refuses what is too much, and tells what the rest costs.
pub(super) struct Guarded(pub(super) Introspection);

struct Guard {
    introspection: Introspection,
    complexity: Mutex<Option<usize>>,
}

impl ExtensionFactory for Guarded {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Guard { introspection: self.0, complexity: Mutex::new(None) })
    }
}

impl Guard {
    /// Whether whoever asks may know the schema.
    fn tells(&self, ctx: &ExtensionContext<'_>) -> bool {
        match self.introspection {
            Introspection::Everybody => true,
            Introspection::SignedIn => ctx.data_opt::<Authenticated>().is_some(),
            Introspection::Nobody => false,
        }
    }
}

#[async_trait::async_trait]
impl Extension for Guard {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let response = next.run(ctx).await;
        let Some(complexity) = *self.complexity.lock() else { return response };
        response.extension("cost", value!({ "requested": complexity, "limit": MOST_COMPLEX }))
    }

    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(ctx, query, variables).await?;
        let fields = fields(&document);
        let aliases = fields.iter().filter(|field| field.node.alias.is_some()).count();
        if aliases > MOST_ALIASES {
            let said = format!("the document has {aliases} aliases; {MOST_ALIASES} are allowed");
            return Err(ServerError::new(said, None));
        }
        let is_schema =
            |f: &&&Positioned<Field>| ["__schema", "__type"].contains(&&*f.node.name.node);
        if let Some(field) = fields.iter().find(is_schema)
            && !self.tells(ctx)
        {
            let error = match self.introspection {
                Introspection::Nobody => Error::Refused("the schema is not told by this server"),
                Introspection::SignedIn | Introspection::Everybody => {
                    Error::Unauthenticated("the schema is told to those who are signed in")
                }
            };
            return Err(async_graphql::Error::from(error).into_server_error(field.pos));
        }
        Ok(document)
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        match next.run(ctx).await {
            Ok(result) => {
                *self.complexity.lock() = Some(result.complexity);
                Ok(result)
            }
            Err(errors) if self.tells(ctx) => Err(errors),
            Err(errors) => Err(errors.into_iter().map(without_suggestion).collect()),
        }
    }
}

/// A hint at what is there tells the schema piece by piece.
fn without_suggestion(mut error: ServerError) -> ServerError {
    if let Some(at) = error.message.find(" Did you mean") {
        error.message.truncate(at);
    }
    error
}

/// All fields that a document names, in its operations and its fragments.
fn fields(document: &ExecutableDocument) -> Vec<&Positioned<Field>> {
    let operations = document.operations.iter().map(|(_, o)| &o.node.selection_set.node);
    let fragments = document.fragments.values().map(|f| &f.node.selection_set.node);
    let mut sets: Vec<&SelectionSet> = operations.chain(fragments).collect();
    let mut fields = Vec::new();
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    fields.push(field);
                    sets.push(&field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(_) => {} // among the fragments
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let document = async_graphql::parser::parse_query(
            "query a { b { c } ...f ... on Query { d: e } } fragment f on Query { __schema { g } }",
        );
        let document = document.unwrap();
        let mut names: Vec<_> = fields(&document).iter().map(|f| &*f.node.name.node).collect();
        names.sort_unstable();
        assert_eq!(names, ["__schema", "b", "c", "e", "g"]);
    }

    #[test]
    fn a_suggestion_is_left_out() {
        let hint = r#"Unknown field "hello" on type "Query". Did you mean "hell"?"#;
        let error = without_suggestion(ServerError::new(hint, None));
        assert_eq!(error.message, r#"Unknown field "hello" on type "Query"."#);
    }
}
