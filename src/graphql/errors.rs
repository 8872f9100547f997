//! Errors as clients get them: always with a code, never with a cause.

use std::error::Error as _;
use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextRequest, NextSubscribe,
};
use async_graphql::{ErrorExtensionValues, Response, ServerError, Value, async_trait};
use futures_util::stream::{BoxStream, StreamExt as _};

use crate::error::Error;
use crate::model::Invalid;

/// How async-graphql begins what it says of a value that cannot be read.
const UNREADABLE: &[&str] = &["Failed to parse", "Invalid value", "Expected input type"];

impl From<Error> for async_graphql::Error {
    fn from(error: Error) -> Self {
        if let Some(cause) = error.source() {
            tracing::error!(error = cause, reason = %error, "an operation failed");
        }
        let (code, path) = (error.codes().graphql, Value::from(error.path().to_vec()));
        let mut coded = Self::new_with_source(error);
        let extensions = coded.extensions.get_or_insert_default();
        extensions.set("code", code);
        if path != Value::List(vec![]) {
            extensions.set("field", path);
        }
        coded
    }
}

impl From<Invalid> for async_graphql::Error {
    fn from(invalid: Invalid) -> Self {
        Error::from(invalid).into()
    }
}

/// The whole answer to a request that is refused before it is read.
pub fn refusal(error: Error) -> Response {
    let error = async_graphql::Error::from(error).into_server_error(Default::default());
    Response::from_errors(vec![ServerError { locations: vec![], ..error }])
}

/// Gives each error a code that has none: those that async-graphql makes.
///
/// What it says of the document or of a value the client may read, as
/// `INVALID`; anything else is our fault, and goes to the log.
pub(super) struct CodedErrors;

impl ExtensionFactory for CodedErrors {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for CodedErrors {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        coded(next.run(ctx).await)
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(ctx, stream).map(coded).boxed()
    }
}

fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        let has_code = error.extensions.as_ref().is_some_and(|e| e.get("code").is_some());
        if !has_code {
            add_code(error);
        }
    }
    response
}

fn add_code(error: &mut ServerError) {
    // Of several operations one is meant, which needs it: [`super::variables`] does not know.
    let variable = error.message.strip_prefix("Variable ");
    let missing = variable.and_then(|rest| rest.strip_suffix(" is not defined."));
    let missing = missing.map(|name| format!("Variable \"${name}\" is required but not provided"));
    let is_missing = missing.is_some();
    if let Some(said) = missing {
        error.message = said;
    }
    // No path: the document was refused before anything was resolved.
    let about_the_input = error.path.is_empty()
        || is_missing
        || UNREADABLE.iter().any(|beginning| error.message.starts_with(beginning));
    let code = if about_the_input {
        "INVALID"
    } else {
        tracing::error!(error = error.message, "the schema failed");
        "internal error".clone_into(&mut error.message);
        "INTERNAL"
    };
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_told() {
        let error = async_graphql::Error::from(Error::internal("SELECT * FROM user"));
        assert_eq!(error.message, "internal error");
        let extensions = error.extensions.unwrap();
        assert_eq!(extensions.get("code"), Some(&Value::from("INTERNAL")));
        assert_eq!(extensions.get("field"), None);
    }

    #[test]
    fn what_the_schema_says_of_itself_is_masked() {
        let mut error = ServerError::new("Data `App` does not exist.", None);
        error.path = vec![async_graphql::PathSegment::Field("x".to_owned())];
        add_code(&mut error);
        assert_eq!(error.message, "internal error");
    }
}
