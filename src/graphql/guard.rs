//! What is asked for before anything is resolved: how much it is, and whether the
//! schema itself is told.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextPrepareRequest, NextRequest,
    NextValidation,
};
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{
    Positioned, Request, Response, ServerError, ServerResult, ValidationResult, Value, Variables,
    async_trait, value,
};
use parking_lot::Mutex;

use super::{MOST_COMPLEX, page};
use crate::app::Authenticated;
use crate::error::Error;

/// More other names for fields than any page needs; each may cost a whole operation.
const MOST_ALIASES: usize = 100;

/// More than a document names that is not too complex. Fragments that spread others twice
/// each double it: to look at 2 KiB of them all would take for ever.
const MOST_SELECTED: usize = 10_000;

/// More values than any page shows. Lists in lists of lists would come to millions of them.
const MOST_VALUES: u64 = 500_000;

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

    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let mut request = next.run(ctx, request).await?;
        let variables = std::mem::take(&mut request.variables);
        // What is no document is told of by whoever parses it next.
        if let Ok(document) = request.parsed_query() {
            check_size(document, &variables).map_err(|said| ServerError::new(said, None))?;
        }
        request.variables = variables;
        Ok(request)
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

/// Refuses a document that selects too much, or comes to too much, each fragment counted
/// wherever it is spread.
fn check_size(document: &ExecutableDocument, variables: &Variables) -> Result<(), String> {
    let operations = document.operations.iter().map(|(_, o)| &o.node.selection_set.node);
    let fragments = document.fragments.values().map(|f| &f.node.selection_set.node);
    let mut sets: Vec<(&SelectionSet, u64)> = operations.chain(fragments).map(|s| (s, 1)).collect();
    let (mut selected, mut values) = (0, 0_u64);
    while let Some((set, times)) = sets.pop() {
        selected += set.items.len();
        if selected > MOST_SELECTED {
            // So does one with a fragment that spreads itself.
            return Err(format!(
                "the document has more than {MOST_SELECTED} fields, with its fragments where \
                 they are spread"
            ));
        }
        values = values.saturating_add(times.saturating_mul(set.items.len() as u64));
        if values > MOST_VALUES {
            return Err(format!(
                "the document asks for more than {MOST_VALUES} values: ask for shorter pages"
            ));
        }
        sets.extend(set.items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => {
                let length = length(&field.node, variables);
                Some((&field.node.selection_set.node, times.saturating_mul(length)))
            }
            Selection::InlineFragment(inline) => Some((&inline.node.selection_set.node, times)),
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.node.fragment_name.node);
                fragment.map(|fragment| (&fragment.node.selection_set.node, times))
            }
        }));
    }
    Ok(())
}

/// How many there may be of what a field is: as many as its page is long.
fn length(field: &Field, variables: &Variables) -> u64 {
    const MOST: u64 = page::MOST.unsigned_abs();
    let Some(first) = field.get_argument("first") else {
        let is_page = field.selection_set.node.items.iter().any(|item| {
            matches!(&item.node, Selection::Field(field)
                if ["nodes", "edges"].contains(&&*field.node.name.node))
        });
        return if is_page { page::USUAL } else { 1 };
    };
    let first = first.node.clone().into_const_with(|name| variables.get(&name).cloned().ok_or(()));
    let said = if let Ok(Value::Number(number)) = first { number.as_u64() } else { None };
    said.unwrap_or(MOST).clamp(1, MOST) // what is too long is refused where it is read
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
    fn a_fragment_counts_wherever_it_is_spread() {
        let doubling = |levels: usize| {
            let twice = |i| format!("fragment f{i} on Query {{ ...f{} ...f{} }} ", i + 1, i + 1);
            let fragments = (0..levels).map(twice).collect::<String>();
            format!("{{ ...f0 }} {fragments} fragment f{levels} on Query {{ a }}")
        };
        let chain = |length: usize| {
            let link = |i| format!("fragment f{i} on Query {{ ...f{} }} ", i + 1);
            format!("{{ a }} {}", (0..length).map(link).collect::<String>())
        };
        for (text, want) in [
            ("{ a { b } ...f } fragment f on Query { c ... on Query { d } }".to_owned(), false),
            (format!("{{ {} }}", "a ".repeat(MOST_SELECTED)), false),
            (format!("{{ {} }}", "a ".repeat(MOST_SELECTED + 1)), true),
            (doubling(10), false),
            (doubling(40), true),
            (chain(2000), true),
            ("{ ...f } fragment f on Query { ...f }".to_owned(), true),
            ("{ ...unknown }".to_owned(), false),
        ] {
            let document = async_graphql::parser::parse_query(&text).unwrap();
            let refused = check_size(&document, &Variables::default());
            assert_eq!(refused.is_err(), want, "{text:.60}: {refused:?}");
        }
    }

    #[test]
    fn what_is_in_a_page_counts_as_often_as_the_page_is_long() {
        let pages = |arguments: &str, levels: usize| {
            let open = format!("services{arguments} {{ nodes {{ group {{ ").repeat(levels);
            format!("query($n: Int) {{ {open} id {} }}", "} } }".repeat(levels))
        };
        for (text, n, want) in [
            (pages("(first: 200)", 2), 0, false),
            (pages("(first: 200)", 3), 0, true),
            (pages("(first: 10)", 5), 0, false),
            (pages("(first: $n)", 3), 10, false),
            (pages("(first: $n)", 3), 100, true),
            (pages("(first: $m)", 3), 10, true),
            (pages("", 3), 0, false),
            (pages("", 4), 0, true),
            (pages("(first: -5)", 4), 0, true),
            (
                "{ a(first: 200) { ...f } } fragment f on A { b(first: 200) { c(first: 200) { d } } }"
                    .to_owned(),
                0,
                true,
            ),
        ] {
            let document = async_graphql::parser::parse_query(&text).unwrap();
            let variables = Variables::from_json(serde_json::json!({ "n": n }));
            let refused = check_size(&document, &variables);
            assert_eq!(refused.is_err(), want, "{text} {n}: {refused:?}");
        }
    }

    #[test]
    fn a_suggestion_is_left_out() {
        let hint = r#"Unknown field "hello" on type "Query". Did you mean "hell"?"#;
        let error = without_suggestion(ServerError::new(hint, None));
        assert_eq!(error.message, r#"Unknown field "hello" on type "Query"."#);
    }
}
