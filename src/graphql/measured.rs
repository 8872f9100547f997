//! Counts what is executed, by its kind and the code of its first error.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_graphql::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextParseQuery, NextValidation,
};
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{Response, ServerError, ServerResult, ValidationResult, Value, Variables};

use crate::metrics;

/// What stands for an error that has no code yet: the document was refused, or it is our
/// fault; see [`super::errors`].
const REFUSED: &str = "INVALID";
const FAULT: &str = "INTERNAL";

pub(super) struct Measured;

/// One request.
#[derive(Default)]
struct Measuring(OnceLock<HashMap<Option<String>, &'static str>>);

impl ExtensionFactory for Measured {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Measuring::default())
    }
}

#[async_trait::async_trait]
impl Extension for Measuring {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let parsed = next.run(ctx, query, variables).await;
        match &parsed {
            Ok(document) => {
                self.0.set(kinds(document)).ok();
            }
            Err(error) => metrics::graphql_operation("unknown", Some(&code(error))),
        }
        parsed
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let validated = next.run(ctx).await;
        if let Err(errors) = &validated {
            metrics::graphql_operation("unknown", errors.first().map(code).as_deref());
        }
        validated
    }

    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let response = next.run(ctx, operation_name).await;
        let code = response.errors.first().map(code);
        metrics::graphql_operation(self.kind(operation_name), code.as_deref());
        response
    }
}

impl Measuring {
    fn kind(&self, operation_name: Option<&str>) -> &'static str {
        let kinds = self.0.get();
        let name = operation_name.map(ToOwned::to_owned);
        let of = |name| kinds.and_then(|kinds| kinds.get(name)).copied();
        of(&name).or_else(|| of(&None)).unwrap_or("unknown")
    }
}

/// What the operations of a document are, by name; the only one has none.
fn kinds(document: &ExecutableDocument) -> HashMap<Option<String>, &'static str> {
    match &document.operations {
        DocumentOperations::Single(operation) => [(None, kind(operation.node.ty))].into(),
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .map(|(name, operation)| (Some(name.to_string()), kind(operation.node.ty)))
            .collect(),
    }
}

fn kind(operation: OperationType) -> &'static str {
    match operation {
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => "subscription",
    }
}

/// A code of ours: no client can make one up.
fn code(error: &ServerError) -> String {
    match error.extensions.as_ref().and_then(|extensions| extensions.get("code")) {
        Some(Value::String(code)) => code.clone(),
        Some(_) => FAULT.to_owned(),
        None if error.path.is_empty() => REFUSED.to_owned(),
        None => FAULT.to_owned(),
    }
}
