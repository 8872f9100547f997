//! The OpenAPI document: what is said of the whole, and of every route alike.

use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::error::{Detail, Fault, Problems};

/// What the routes are added to.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "MarchProxy control plane",
        description = "What people configure, and what their proxies are given. \
            The same operations, and more, are at `/graphql`.",
    ),
    tags(
        (name = "root", description = "What this is, and how it is doing."),
        (name = "auth", description = "Signing in and out, and what is one's own."),
        (name = "users", description = "Who signs in, and what they may do. For administrators."),
        (name = "clusters", description = "Proxies that share one configuration."),
        (name = "services", description = "What traffic goes to."),
        (name = "mappings", description = "Which services may reach which."),
        (name = "proxies", description = "Proxies that register."),
        (name = "config", description = "What those proxies are told, by their cluster's key."),
    ),
    components(schemas(Detail, Problems, Fault)),
    security(("bearer" = [])),
    modifiers(&Security),
)]
pub(super) struct Base;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("An access token of `/api/v1/auth/login`, or an API token."))
            .build();
        let key = ApiKeyValue::with_description(
            "cluster-api-key",
            "The key of a cluster, as `POST /api/v1/clusters` returns it once.",
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("cluster_key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
}

/// Adds to each operation the answers that it need not say for itself.
pub(super) fn completed(mut document: Document) -> Document {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            complete(operation);
        }
    }
    document
}

/// The operations at a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

fn complete(operation: &mut Operation) {
    let public = operation.security.as_deref() == Some(&[SecurityRequirement::default()]);
    let reads = operation.parameters.is_some() || operation.request_body.is_some();
    if !public {
        add(operation, "401", "Nobody is signed in, or not any more.", "Detail");
        add(operation, "403", "The user may not do this.", "Detail");
    }
    if in_path(operation) {
        add(operation, "404", "There is nothing of this name or number.", "Detail");
    }
    if operation.request_body.is_some() {
        add(operation, "413", "The body is too large.", "Detail");
    }
    if reads {
        add(operation, "422", "The input cannot be taken.", "Problems");
    }
    add(operation, "429", "Too many requests: ask again after `Retry-After`.", "Detail");
    add(operation, "500", "Our fault; the log has the cause.", "Fault");
    add(operation, "503", "It took too long, or something that is needed is away.", "Detail");
}

/// Whether the path names something, which may not be there.
fn in_path(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Path,
        RefOr::Ref(_) => false, // no route's parameters stand elsewhere
    })
}

/// Adds an answer, unless the operation has said of its own what that means.
fn add(operation: &mut Operation, status: &str, description: &str, schema: &str) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let response =
        ResponseBuilder::new().description(description).content("application/json", content);
    let responses = &mut operation.responses.responses;
    responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(response.build()));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_says_what_it_is_and_what_it_answers() {
        let mut document = crate::rest::openapi();
        let mut ids = BTreeSet::new();
        for (path, item) in &mut document.paths.paths {
            for operation in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                let summary = operation.summary.clone().unwrap_or_default();
                assert!(!summary.is_empty() && !summary.ends_with('.'), "{path}: {summary:?}");
                assert!(operation.tags.as_ref().is_some_and(|tags| tags.len() == 1), "{id}");
                let statuses: Vec<_> = operation.responses.responses.keys().collect();
                assert!(statuses.iter().any(|status| status.starts_with('2')), "{id}");
                assert!(ids.insert(id.clone()), "{id} stands there twice");
            }
        }
        assert!(ids.len() >= 2, "only {} operations", ids.len());
    }
}
