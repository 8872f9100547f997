//! Signing in and out, and what is one's own.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::UserOut;
use crate::app::{App, Credentials, Registration, SignIn, SignedIn};
use crate::auth::Origin;
use crate::error::Error;
use crate::model::{At as _, Email, Invalid, NewPassword, PersonName, Role, User};
use crate::rest::error::{Detail, Failure, Problem, Result};
use crate::rest::extract::{Json, JsonOrForm, Signed, over_rest};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(register))
        .routes(routes!(refresh_token))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(change_password))
        .routes(routes!(enable_2fa))
        .routes(routes!(verify_2fa))
        .routes(routes!(disable_2fa))
        .routes(routes!(jwks))
}

/// What somebody signs in with. A form is taken as well.
#[derive(Deserialize, ToSchema)]
struct LoginIn {
    /// A user name or an email address.
    #[schema(example = "admin")]
    username: Option<String>,
    /// Stands in for `username`.
    email: Option<String>,
    #[schema(value_type = String, format = Password, example = "change-me-please")]
    password: SecretString,
    /// Six digits, or a backup code.
    #[schema(example = "123456")]
    totp_code: Option<String>,
}

/// Somebody who wants to become a user.
#[derive(Deserialize, ToSchema)]
struct RegisterIn {
    #[schema(example = "ada", min_length = 1, max_length = 128)]
    username: String,
    /// If the user name is an email address, that one.
    #[schema(example = "ada@example.org")]
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    #[schema(value_type = String, format = Password, min_length = 8, example = "change-me-please")]
    password: SecretString,
    /// The token of an invitation; only the first user needs none.
    #[schema(value_type = Option<String>)]
    invitation_token: Option<SecretString>,
}

/// Whoever has signed in, and what they prove it with from now on.
#[derive(Serialize, ToSchema)]
struct LoginOut {
    #[schema(example = 1)]
    user_id: i32,
    #[schema(example = "admin")]
    username: String,
    email: Option<String>,
    is_admin: bool,
    /// Whether the password was right and it takes `totp_code` as well; then there
    /// are no tokens.
    requires_2fa: bool,
    access_token: Option<String>,
    /// Gives new tokens, once.
    refresh_token: Option<String>,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// For how many seconds the access token is good.
    #[schema(example = 1800)]
    expires_in: Option<i64>,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
struct RefreshIn {
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// New tokens. The refresh token that they were asked for with is good no more.
#[derive(Serialize, ToSchema)]
struct TokensOut {
    access_token: String,
    refresh_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// For how many seconds the access token is good.
    #[schema(example = 1800)]
    expires_in: i64,
}

/// A password to take the place of another.
#[derive(Deserialize, ToSchema)]
struct ChangePasswordIn {
    #[schema(value_type = String, format = Password)]
    current_password: SecretString,
    #[schema(value_type = String, format = Password, min_length = 8)]
    new_password: SecretString,
    /// The new one once more.
    #[schema(value_type = String, format = Password, min_length = 8)]
    confirm_password: SecretString,
}

/// What an app is set up with; shown this once.
#[derive(Serialize, ToSchema)]
struct SecondFactorOut {
    /// In base 32.
    secret: String,
    /// The secret as `otpauth://...`, for a QR code.
    qr_code_uri: String,
    /// Each stands in for the app once.
    backup_codes: Vec<String>,
}

/// A code of a second factor.
#[derive(Deserialize, ToSchema)]
struct CodeIn {
    /// Six digits.
    #[schema(example = "123456")]
    totp_code: String,
}

/// That it was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    #[schema(example = "Logged out successfully")]
    message: &'static str,
}

/// Signs in
///
/// By user name or email address, and password; JSON or a form. Somebody with a
/// second factor is told `requires_2fa` and asks again with `totp_code`.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    tag = "auth",
    security(()),
    request_body(content(
        (LoginIn = "application/json"),
        (LoginIn = "application/x-www-form-urlencoded")
    )),
    responses(
        (status = 200, description = "Signed in, or `requires_2fa`.", body = LoginOut),
        (status = 401, description = "The name, the password or the code is wrong.", body = Detail),
        (status = 403, description = "The user has been deactivated.", body = Detail)
    )
)]
async fn login(
    State(app): State<App>,
    origin: Option<Extension<Origin>>,
    JsonOrForm(input): JsonOrForm<LoginIn>,
) -> Result<Json<LoginOut>> {
    let signed_in = app.sign_in(input.parse()?, over_rest(origin)).await?;
    Ok(Json(match signed_in {
        SignIn::Done(signed_in) => LoginOut::done(&app, *signed_in),
        SignIn::NeedsCode(user) => LoginOut { requires_2fa: true, ..LoginOut::of(&user) },
    }))
}

/// Becomes a user
///
/// The first one becomes an administrator. Everybody else needs an invitation, or
/// is made a user by an administrator.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    tag = "auth",
    security(()),
    request_body = RegisterIn,
    responses(
        (status = 201, description = "Registered, and signed in.", body = LoginOut),
        (status = 400, description = "The name or the address is taken.", body = Detail),
        (status = 403, description = "There is no such invitation.", body = Detail)
    )
)]
#[expect(clippy::wildcard_enum_match_arm, reason = "said as everywhere")]
async fn register(
    State(app): State<App>,
    origin: Option<Extension<Origin>>,
    Json(input): Json<RegisterIn>,
) -> Result<(StatusCode, Json<LoginOut>)> {
    let registered = app.register(input.parse()?, over_rest(origin)).await;
    let signed_in = registered.map_err(|error| match error {
        Error::AlreadyExists { .. } => {
            Failure::refused(StatusCode::BAD_REQUEST, "Username or email already registered")
        }
        Error::Forbidden => {
            Failure::refused(StatusCode::FORBIDDEN, "Registration needs an invitation")
        }
        other => other.into(),
    })?;
    Ok((StatusCode::CREATED, Json(LoginOut::done(&app, signed_in))))
}

/// Gives new tokens for a refresh token
///
/// It is good once. One that comes a second time ends the session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    tag = "auth",
    security(()),
    request_body = RefreshIn,
    responses(
        (status = 200, description = "New tokens.", body = TokensOut),
        (status = 401, description = "The token is not good (any more).", body = Detail),
        (status = 403, description = "The user has been deactivated.", body = Detail)
    )
)]
#[expect(clippy::wildcard_enum_match_arm, reason = "said as everywhere")]
async fn refresh_token(
    State(app): State<App>,
    origin: Option<Extension<Origin>>,
    Json(input): Json<RefreshIn>,
) -> Result<Json<TokensOut>> {
    let refreshed = app.refresh(input.refresh_token.expose_secret(), over_rest(origin)).await;
    let SignedIn { access, refresh, .. } = refreshed.map_err(|error| match error {
        Error::Unauthenticated(_) => Failure::Unauthenticated("Invalid or expired refresh token"),
        other => other.into(),
    })?;
    Ok(Json(TokensOut {
        access_token: access.token.expose_secret().to_owned(),
        refresh_token: refresh.token.expose_secret().to_owned(),
        token_type: "bearer",
        expires_in: app.token_lifetimes().access.num_seconds(),
    }))
}

/// Signs out
///
/// The tokens of this session are good no more.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    tag = "auth",
    responses(
        (status = 200, description = "Signed out.", body = Message),
        (status = 400, description = "An API token is revoked, not signed out.", body = Detail)
    )
)]
async fn logout(State(app): State<App>, Signed(actor): Signed) -> Result<Json<Message>> {
    app.sign_out(&actor).await?;
    Ok(Json(Message { message: "Logged out successfully" }))
}

/// Shows who is signed in
#[utoipa::path(
    get,
    path = "/api/v1/auth/me",
    tag = "auth",
    responses((status = 200, description = "Oneself.", body = UserOut))
)]
async fn me(State(app): State<App>, Signed(actor): Signed) -> Result<Json<UserOut>> {
    Ok(Json(app.me(&actor).await?.into()))
}

/// Changes one's own password
///
/// All other sessions end.
#[utoipa::path(
    post,
    path = "/api/v1/auth/change-password",
    tag = "auth",
    request_body = ChangePasswordIn,
    responses(
        (status = 200, description = "Changed.", body = Message),
        (status = 400, description = "The new passwords differ.", body = Detail),
        (status = 401, description = "Not signed in, or the password is wrong.", body = Detail)
    )
)]
async fn change_password(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<ChangePasswordIn>,
) -> Result<Json<Message>> {
    if input.new_password.expose_secret() != input.confirm_password.expose_secret() {
        return Err(Failure::refused(StatusCode::BAD_REQUEST, "New passwords do not match"));
    }
    let new = NewPassword::try_from(input.new_password).at("new_password")?;
    app.change_password(&actor, input.current_password, new).await?;
    Ok(Json(Message { message: "Password changed successfully" }))
}

/// Makes up a second factor
///
/// It takes effect once `verify` has seen a code of it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/2fa/enable",
    tag = "auth",
    responses(
        (status = 200, description = "What to set an app up with.", body = SecondFactorOut),
        (status = 400, description = "There is one already.", body = Detail)
    )
)]
async fn enable_2fa(
    State(app): State<App>,
    Signed(actor): Signed,
) -> Result<Json<SecondFactorOut>> {
    let offer = app.offer_second_factor(&actor).await?;
    let shown = |secret: &SecretString| secret.expose_secret().to_owned();
    Ok(Json(SecondFactorOut {
        secret: shown(&offer.secret),
        qr_code_uri: shown(&offer.uri),
        backup_codes: offer.backup_codes.iter().map(shown).collect(),
    }))
}

/// Turns the second factor on, with a first code of it
#[utoipa::path(
    post,
    path = "/api/v1/auth/2fa/verify",
    tag = "auth",
    request_body = CodeIn,
    responses(
        (status = 200, description = "On.", body = Message),
        (status = 400, description = "There is none to turn on.", body = Detail),
        (status = 401, description = "Not signed in, or the code is wrong.", body = Detail)
    )
)]
async fn verify_2fa(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<CodeIn>,
) -> Result<Json<Message>> {
    app.verify_second_factor(&actor, &input.totp_code).await?;
    Ok(Json(Message { message: "2FA enabled successfully" }))
}

/// Turns the second factor off, with one more code of it
#[utoipa::path(
    post,
    path = "/api/v1/auth/2fa/disable",
    tag = "auth",
    request_body = CodeIn,
    responses(
        (status = 200, description = "Off.", body = Message),
        (status = 400, description = "There is none.", body = Detail),
        (status = 401, description = "Not signed in, or the code is wrong.", body = Detail)
    )
)]
async fn disable_2fa(
    State(app): State<App>,
    Signed(actor): Signed,
    Json(input): Json<CodeIn>,
) -> Result<Json<Message>> {
    app.disable_second_factor(&actor, &input.totp_code).await?;
    Ok(Json(Message { message: "2FA disabled successfully" }))
}

/// Shows the public keys that access tokens can be verified with
///
/// None, unless tokens are signed with a private key (`JWT_PRIVATE_KEY`).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "auth",
    security(()),
    responses((status = 200, description = "A JWK set (RFC 7517).", body = Value))
)]
async fn jwks(State(app): State<App>) -> Result<Json<Value>> {
    Ok(Json(serde_json::to_value(app.jwks()).map_err(Error::internal)?))
}

impl LoginIn {
    fn parse(self) -> Result<Credentials> {
        let login = self.username.or(self.email).ok_or_else(|| {
            let loc = vec!["body".into(), "username".into()];
            Failure::Unreadable(Problem::new("missing", loc, "Field required"))
        })?;
        let code = self.totp_code.filter(|code| !code.is_empty());
        Ok(Credentials { login, password: self.password, code })
    }
}

impl RegisterIn {
    fn parse(self) -> Result<Registration, Invalid> {
        let name = |name: Option<String>, field| {
            name.map(|name| PersonName::try_from(name).at(field)).transpose()
        };
        let email = match self.email {
            Some(email) => Some(Email::try_from(email).at("email")?),
            // Existing clients have no field for it.
            None => Email::try_from(self.username.clone()).ok(),
        };
        Ok(Registration {
            username: self.username.try_into().at("username")?,
            email,
            first_name: name(self.first_name, "first_name")?,
            last_name: name(self.last_name, "last_name")?,
            password: self.password.try_into().at("password")?,
            invitation: self.invitation_token,
        })
    }
}

impl LoginOut {
    /// A user without tokens.
    fn of(user: &User) -> Self {
        Self {
            user_id: user.id.into(),
            username: user.spec.username.to_string(),
            email: user.spec.email.as_ref().map(ToString::to_string),
            is_admin: user.spec.role == Role::Admin,
            requires_2fa: false,
            access_token: None,
            refresh_token: None,
            token_type: "bearer",
            expires_in: None,
        }
    }

    fn done(app: &App, SignedIn { user, access, refresh }: SignedIn) -> Self {
        Self {
            access_token: Some(access.token.expose_secret().to_owned()),
            refresh_token: Some(refresh.token.expose_secret().to_owned()),
            expires_in: Some(app.token_lifetimes().access.num_seconds()),
            ..Self::of(&user)
        }
    }
}
