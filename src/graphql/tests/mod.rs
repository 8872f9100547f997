//! Rights, from the outside: every root field has a row in the one table, and does
//! what the row says for everybody.

mod plane;
mod question;

use std::collections::BTreeSet;

use async_graphql::Response;

pub(super) use self::plane::Plane;
use self::plane::{come, sign_in};
use super::ApiSchema;
use crate::app::Authenticated;
use crate::auth::{Needs, Operation, Scope};
use crate::model::{NodeGroupId, Role};

/// Everybody, from who may least to who may most.
const ROLES: [Option<Role>; 5] =
    [None, Some(Role::Member), Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)];

/// The first error's code.
fn code(response: &Response) -> Option<String> {
    let error = response.errors.first()?;
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    Some(code.map(ToString::to_string).unwrap_or_default().replace('"', ""))
}

/// Every root field, as `Query.services`.
async fn root_fields(schema: &ApiSchema) -> BTreeSet<String> {
    let roots = ["Query", "Mutation", "Subscription"];
    let fields = roots.map(|root| {
        let field = root.to_lowercase();
        format!("{root}: __type(name: \"{root}\") {{ {field}: fields {{ name }} }}")
    });
    let response = schema.execute(format!("{{ {} }}", fields.join(" "))).await;
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    let data = response.data.into_json().unwrap();
    let names = roots.into_iter().flat_map(|root| {
        let fields = data[root][root.to_lowercase()].as_array().unwrap();
        fields.iter().map(move |field| format!("{root}.{}", field["name"].as_str().unwrap()))
    });
    names.collect()
}

#[tokio::test]
async fn every_root_field_has_one_row_among_the_rights() {
    let plane = Plane::start().await;
    let fields = root_fields(&plane.schema).await;
    assert!(fields.len() > 50, "only {} fields", fields.len());
    let rows: Vec<_> = Operation::ALL.iter().flat_map(|operation| operation.graphql()).collect();
    let unique: BTreeSet<_> = rows.iter().map(|row| (**row).to_owned()).collect();
    assert_eq!(rows.len(), unique.len(), "a field has two rows");
    assert_eq!(fields, unique, "left: fields of the schema; right: rows of auth/rights.rs");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_does_what_its_row_says_for_everybody() {
    let plane = Plane::start().await;
    let mut everybody = vec![];
    for role in ROLES {
        let caller = match role {
            Some(role) => {
                let (_, name) = plane.user(role).await;
                Some(come(&plane.app, &sign_in(&plane.app, &name).await).await)
            }
            None => None,
        };
        everybody.push((role, caller));
    }
    let mut wrong = vec![];
    for operation in Operation::ALL {
        for field in operation.graphql() {
            for (role, caller) in &everybody {
                if let Err(e) = check(&plane, *operation, field, *role, caller.as_ref()).await {
                    wrong.push(format!("{field} as {role:?}: {e}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn check(
    plane: &Plane,
    operation: Operation,
    field: &str,
    role: Option<Role>,
    caller: Option<&Authenticated>,
) -> Result<(), String> {
    let (query, input) = plane.question(field, caller).await;
    let before = done(plane).await;
    let response = plane.ask(caller.cloned(), &query, &input).await;
    let code = code(&response);
    let may = match (operation.needs(), role) {
        (Needs::Nothing, _) | (Needs::SignIn | Needs::Session | Needs::Seen(_), Some(_)) => true,
        (Needs::Role(least, _), Some(role)) => role >= least,
        (Needs::GroupKey, Some(_)) | (_, None) => false,
    };
    if may {
        // What is about something that cannot be there: a node, a wrong code.
        let expected = match field {
            "Query.xdsNode" => Some("NOT_FOUND"),
            "Mutation.verifyTwoFactor" => Some("UNAUTHENTICATED"),
            "Mutation.disableTwoFactor"
            // No store is set up, and an uploaded one is not fetched anew.
            | "Mutation.fetchCertificate"
            | "Mutation.renewCertificate" => Some("REFUSED"),
            "Query.nodeGroup" if role == Some(Role::Member) => Some("NOT_FOUND"),
            _ => None,
        };
        let good = code.as_deref() == expected;
        return if good { Ok(()) } else { Err(format!("{:?}", response.errors)) };
    }
    // What somebody may not see is not there for them.
    let refused = match (role, code.as_deref()) {
        (None, Some("UNAUTHENTICATED")) | (Some(_), Some("FORBIDDEN" | "NOT_FOUND")) => true,
        (None | Some(_), _) => false,
    };
    match (refused, done(plane).await == before) {
        (true, true) => Ok(()),
        (true, false) => Err("it was refused, and done".to_owned()),
        (false, _) => Err(format!("it was not refused: {code:?} {:?}", response.data)),
    }
}

/// How many changes there were.
async fn done(plane: &Plane) -> usize {
    let filter = crate::model::AuditFilter { refused: Some(false), ..Default::default() };
    let entries = plane.app.audit_entries(&plane.admin.actor, &filter, None, 100_000).await;
    entries.unwrap().len()
}

#[tokio::test]
async fn an_operation_without_rights_over_everything_has_none_over_a_group() {
    for operation in Operation::ALL {
        if let Needs::Role(least, _) = operation.needs() {
            let scope = Scope::Group(NodeGroupId::try_from(1).unwrap());
            for role in ROLES.into_iter().flatten() {
                let may = crate::auth::actor(role).may(*operation, scope).is_ok();
                assert_eq!(may, role >= least, "{operation:?} {role:?}");
            }
        }
    }
}
