//! Users.

use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, NewUser, Removal};
use crate::model::{
    At as _, Email, Invalid, PersonName, Role, User, UserChange, UserId, UserSpec, Username,
};
use crate::rest::error::{Detail, Result};
use crate::rest::extract::{Json, Path, Query, Signed, nullable};
use crate::rest::list::{ListQuery, flag};
use crate::rest::time::Time;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_users, create_user)).routes(routes!(
        get_user,
        update_user,
        replace_user,
        delete_user
    ))
}

/// A user as clients read them.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserOut {
    #[schema(example = 1)]
    id: i32,
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "ada@example.org")]
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// Whether they may sign in.
    is_active: bool,
    is_admin: bool,
    /// What they may do everywhere: `member`, `viewer`, `operator` or `admin`.
    #[schema(example = "admin")]
    role: &'static str,
    is_verified: bool,
    /// Whether they need a code to sign in.
    totp_enabled: bool,
    created_at: Time,
    updated_at: Time,
    last_login: Option<Time>,
}

/// A window on the list of users.
#[derive(Serialize, ToSchema)]
struct UserList {
    /// How many there are in all.
    total: u64,
    /// Those in the window, the newest first.
    users: Vec<UserOut>,
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
struct CreateUserIn {
    #[schema(example = "ada@example.org", max_length = 254)]
    email: String,
    #[schema(example = "ada", min_length = 1, max_length = 128)]
    username: String,
    first_name: Option<String>,
    last_name: Option<String>,
    #[schema(value_type = String, format = Password, min_length = 8, example = "change-me-please")]
    password: SecretString,
    /// Whether they may do everything.
    #[serde(default)]
    is_admin: bool,
    /// What they may do everywhere, if they are no administrator: `member` (nothing
    /// but what they are assigned to), `viewer` or `operator`.
    #[schema(example = "member")]
    role: Option<String>,
    #[serde(default = "yes")]
    is_active: bool,
}

/// What to change of a user; what is left out stays.
#[derive(Deserialize, ToSchema)]
struct UpdateUserIn {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    username: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    first_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    last_name: Option<Option<String>>,
    is_admin: Option<bool>,
    role: Option<String>,
    is_active: Option<bool>,
    /// `false` takes the second factor away; only the user can turn it on.
    totp_enabled: Option<bool>,
}

/// How to delete.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Whether they are gone for good; otherwise they can only not sign in.
    #[serde(default, deserialize_with = "flag")]
    #[param(default = false)]
    permanent: bool,
}

/// Lists users
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "users",
    params(ListQuery),
    responses((status = 200, description = "The users.", body = UserList))
)]
async fn list_users(
    State(app): State<App>,
    Signed(actor): Signed,
    Query(list): Query<ListQuery>,
) -> Result<Json<UserList>> {
    let window = list.window()?;
    let listed = app.newest_users(&actor, window.active_only, window.skip, window.limit).await?;
    let (total, users) = listed;
    Ok(Json(UserList { total, users: users.into_iter().map(Into::into).collect() }))
}

/// Makes a user
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "users",
    request_body = CreateUserIn,
    responses(
        (status = 201, description = "The user.", body = UserOut),
        (status = 400, description = "The name or the address is taken.", body = Detail)
    )
)]
async fn create_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<CreateUserIn>,
) -> Result<(StatusCode, Json<UserOut>)> {
    let user = app.create_user(&actor, input.parse()?).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Shows one user
#[utoipa::path(
    get,
    path = "/api/v1/users/{user_id}",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    responses(
        (status = 200, description = "The user.", body = UserOut),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn get_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<UserId>,
) -> Result<Json<UserOut>> {
    Ok(Json(app.user(&actor, id).await?.into()))
}

/// Changes a user
///
/// Whoever is deactivated, or loses their second factor, is signed out everywhere.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{user_id}",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    request_body = UpdateUserIn,
    responses(
        (status = 200, description = "The user.", body = UserOut),
        (status = 400, description = "A name is taken, or a rule is against it.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn update_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<UserId>,
    Json(input): Json<UpdateUserIn>,
) -> Result<Json<UserOut>> {
    let only_no_admin = input.is_admin == Some(false) && input.role.is_none();
    let (mut change, takes_second_factor) = input.parse()?;
    if only_no_admin && app.user(&actor, id).await?.spec.role != Role::Admin {
        change.role = None; // nor were they
    }
    let mut user = app.update_user(&actor, id, change).await?;
    if takes_second_factor && user.second_factor.is_on() {
        user = app.reset_second_factor(&actor, id).await?;
    }
    Ok(Json(user.into()))
}

/// Changes a user, as PATCH does
#[utoipa::path(
    put,
    path = "/api/v1/users/{user_id}",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1)),
    request_body = UpdateUserIn,
    responses(
        (status = 200, description = "The user.", body = UserOut),
        (status = 400, description = "A name is taken, or a rule is against it.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn replace_user(
    app: State<App>,
    signed: Signed,
    id: Path<UserId>,
    input: Json<UpdateUserIn>,
) -> Result<Json<UserOut>> {
    update_user(app, signed, id, input).await
}

/// Deactivates a user, or deletes them for good
#[utoipa::path(
    delete,
    path = "/api/v1/users/{user_id}",
    tag = "users",
    params(("user_id" = i32, Path, description = "Which user.", minimum = 1), DeleteQuery),
    responses(
        (status = 204, description = "Done."),
        (status = 400, description = "It is oneself, or the last administrator.", body = Detail),
        (status = 404, description = "There is none.", body = Detail)
    )
)]
async fn delete_user(
    State(app): State<App>,
    Signed(actor): Signed,
    Path(id): Path<UserId>,
    Query(how): Query<DeleteQuery>,
) -> Result<StatusCode> {
    let removal = if how.permanent { Removal::ForGood } else { Removal::Deactivate };
    app.delete_user(&actor, id, removal).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl CreateUserIn {
    fn parse(self) -> Result<NewUser, Invalid> {
        let role = everywhere(Some(self.is_admin), self.role)?.unwrap_or(Role::Member);
        Ok(NewUser {
            spec: UserSpec {
                username: self.username.try_into().at("username")?,
                email: Some(Email::try_from(self.email).at("email")?),
                first_name: person(self.first_name, "first_name")?,
                last_name: person(self.last_name, "last_name")?,
                role,
                is_active: self.is_active,
                is_verified: false,
            },
            password: self.password.try_into().at("password")?,
        })
    }
}

impl UpdateUserIn {
    /// The change, and whether the second factor goes.
    fn parse(self) -> Result<(UserChange, bool), Invalid> {
        if self.totp_enabled == Some(true) {
            return Err(Invalid::new("totp_enabled", "only the user can turn it on"));
        }
        let email = |email: Option<String>| email.map(|e| Email::try_from(e).at("email"));
        let change = UserChange {
            username: self
                .username
                .map(|name| Username::try_from(name).at("username"))
                .transpose()?,
            email: self.email.map(|e| email(e).transpose()).transpose()?,
            first_name: self.first_name.map(|name| person(name, "first_name")).transpose()?,
            last_name: self.last_name.map(|name| person(name, "last_name")).transpose()?,
            role: everywhere(self.is_admin, self.role)?,
            is_active: self.is_active,
            is_verified: None,
        };
        Ok((change, self.totp_enabled == Some(false)))
    }
}

impl From<User> for UserOut {
    fn from(user: User) -> Self {
        let text = |name: Option<PersonName>| name.map(|name| name.as_str().to_owned());
        Self {
            id: user.id.into(),
            username: user.spec.username.to_string(),
            email: user.spec.email.map(|email| email.to_string()),
            first_name: text(user.spec.first_name),
            last_name: text(user.spec.last_name),
            is_active: user.spec.is_active,
            is_admin: user.spec.role == Role::Admin,
            role: user.spec.role.as_str(),
            is_verified: user.spec.is_verified,
            totp_enabled: user.second_factor.is_on(),
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
            last_login: user.last_login_at.map(Time::from),
        }
    }
}

/// What somebody may do everywhere; none if nothing is said of it.
///
/// `is_admin` alone says only whether they are an administrator, as it always did.
fn everywhere(is_admin: Option<bool>, role: Option<String>) -> Result<Option<Role>, Invalid> {
    let said = role.map(|role| {
        let words = "must be member, viewer, operator or admin";
        Role::parse(&role).ok_or(words).at("role")
    });
    Ok(match (is_admin, said.transpose()?) {
        (Some(true), None) => Some(Role::Admin),
        (Some(true), Some(role)) if role != Role::Admin => {
            return Err(Invalid::new("role", "an administrator has no lesser role"));
        }
        (Some(false), None) => Some(Role::Member),
        (_, role) => role,
    })
}

fn person(name: Option<String>, field: &str) -> Result<Option<PersonName>, Invalid> {
    name.map(|name| PersonName::try_from(name).at(field)).transpose()
}

fn yes() -> bool {
    true
}
