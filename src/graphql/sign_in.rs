//! Signing in and out, and what is one's own.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use secrecy::{ExposeSecret as _, SecretString};

use super::cookies;
use super::global_id::GlobalId as _;
use super::parse::in_input;
use super::payload::{UserErrorObject, answer, payloads};
use super::scalars::Time;
use super::users::{UserObject, password, person_name};
use super::{app, app_and_actor, origin};
use crate::app::{Credentials, Registration, SecondFactorOffer, SignIn, SignedIn};
use crate::error::Error;
use crate::model::{At as _, Invalid};

#[derive(Default)]
pub(super) struct SignInQuery;

#[derive(Default)]
pub(super) struct SignInMutation;

/// Name and password.
#[derive(InputObject)]
pub(super) struct LoginInput {
    /// A user name or an email address.
    username: String,
    /// Their password.
    #[graphql(secret)]
    password: String,
    /// The second factor, if the user has one: six digits from their app, or a backup
    /// code.
    #[graphql(secret)]
    code: Option<String>,
}

/// Somebody who wants to become a user.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    /// Unique.
    username: String,
    /// 8 characters or more.
    #[graphql(secret)]
    password: String,
    /// Unique; they may sign in with it as well.
    email: Option<String>,
    /// Their first name.
    first_name: Option<String>,
    /// Their last name.
    last_name: Option<String>,
    /// The token of an invitation; only the very first user needs none.
    #[graphql(secret)]
    invitation: Option<String>,
}

/// A refresh token.
#[derive(InputObject)]
pub(super) struct RefreshTokenInput {
    /// Good once; that of the cookie if not said.
    #[graphql(secret)]
    refresh_token: Option<String>,
}

/// The old password, and the new one.
#[derive(InputObject)]
pub(super) struct ChangePasswordInput {
    /// The one that is good now.
    #[graphql(secret)]
    current_password: String,
    /// 8 characters or more.
    #[graphql(secret)]
    new_password: String,
}

/// A code of one's second factor.
#[derive(InputObject)]
pub(super) struct TwoFactorCodeInput {
    /// Six digits from the app.
    #[graphql(secret)]
    code: String,
}

pub(super) struct LoginPayload(SignedIn);

pub(super) struct EnableTwoFactorPayload(SecondFactorOffer);

/// Who has signed out.
#[derive(SimpleObject)]
pub(super) struct LogoutPayload {
    /// Whose session it was.
    user_id: ID,
}

/// A user, as they are since.
#[derive(Default, SimpleObject)]
pub(super) struct OwnUserPayload {
    /// Oneself, as one is since.
    user: Option<UserObject>,
    /// Why nothing was changed, if you can mend it.
    user_errors: Vec<UserErrorObject>,
}

payloads!(OwnUserPayload.user_errors);

#[Object]
impl SignInQuery {
    /// Who is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<UserObject> {
        self.me(ctx).await
    }

    /// Who is signed in.
    async fn me(&self, ctx: &Context<'_>) -> Result<UserObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(UserObject(app.me(actor).await?))
    }
}

#[Object]
impl SignInMutation {
    /// Signs in. Needs no token; `UNAUTHENTICATED` does not tell what was wrong, and
    /// `CODE_REQUIRED` says that it takes the second factor as well.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: LoginInput,
    ) -> Result<LoginPayload> {
        let LoginInput { username: login, password, code } = input;
        let credentials = Credentials { login, password: password.into(), code };
        match app(ctx).sign_in(credentials, origin(ctx)).await? {
            SignIn::Done(signed_in) => {
                cookies::keep(ctx, &signed_in);
                Ok(LoginPayload(*signed_in))
            }
            SignIn::NeedsCode(_) => Err(Error::CodeRequired.into()),
        }
    }

    /// Becomes a user, and signs in. Needs no token: the first user becomes the
    /// administrator, everybody else needs an invitation.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: RegisterInput,
    ) -> Result<LoginPayload> {
        let registration = in_input(input.parse())?;
        let signed_in = in_input(app(ctx).register(registration, origin(ctx)).await)?;
        cookies::keep(ctx, &signed_in);
        Ok(LoginPayload(signed_in))
    }

    /// Gives a new pair of tokens for a refresh token. Needs no other token. One that
    /// was used before ends the session.
    async fn refresh_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: Option<RefreshTokenInput>,
    ) -> Result<LoginPayload> {
        let token = input.and_then(|input| input.refresh_token).map(SecretString::from);
        let token = token.or_else(|| cookies::refresh_token(ctx));
        let token =
            token.ok_or_else(|| Invalid::new("refreshToken", "is missing").within("input"))?;
        let signed_in = app(ctx).refresh(token.expose_secret(), origin(ctx)).await?;
        cookies::keep(ctx, &signed_in);
        Ok(LoginPayload(signed_in))
    }

    /// Signs out: all tokens of this session are good no more.
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        app.sign_out(actor).await?;
        cookies::drop_all(ctx);
        Ok(LogoutPayload { user_id: actor.user.global() })
    }

    /// Changes one's own password. All other sessions end.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: ChangePasswordInput,
    ) -> Result<OwnUserPayload> {
        let done = async {
            let (app, actor) = app_and_actor(ctx)?;
            let new = in_input(password(input.new_password, "newPassword"))?;
            app.change_password(actor, input.current_password.into(), new).await?;
            Ok(OwnUserPayload {
                user: Some(UserObject(app.me(actor).await?)),
                ..Default::default()
            })
        };
        answer(ctx, done).await
    }

    /// Gives the secret of a second factor, and backup codes. It takes effect with
    /// `verifyTwoFactor`.
    async fn enable_two_factor(&self, ctx: &Context<'_>) -> Result<EnableTwoFactorPayload> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(EnableTwoFactorPayload(app.offer_second_factor(actor).await?))
    }

    /// Turns the second factor on, with a code from the app. All other sessions end.
    async fn verify_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: TwoFactorCodeInput,
    ) -> Result<OwnUserPayload> {
        let done = async {
            let (app, actor) = app_and_actor(ctx)?;
            let user = UserObject(app.verify_second_factor(actor, &input.code).await?);
            Ok(OwnUserPayload { user: Some(user), ..Default::default() })
        };
        answer(ctx, done).await
    }

    /// Turns the second factor off, with a code. All other sessions end.
    async fn disable_two_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: TwoFactorCodeInput,
    ) -> Result<OwnUserPayload> {
        let done = async {
            let (app, actor) = app_and_actor(ctx)?;
            let user = UserObject(app.disable_second_factor(actor, &input.code).await?);
            Ok(OwnUserPayload { user: Some(user), ..Default::default() })
        };
        answer(ctx, done).await
    }
}

impl RegisterInput {
    fn parse(self) -> Result<Registration, Invalid> {
        Ok(Registration {
            username: self.username.try_into().at("username")?,
            email: self.email.map(|email| email.try_into().at("email")).transpose()?,
            first_name: person_name(self.first_name, "firstName")?,
            last_name: person_name(self.last_name, "lastName")?,
            password: password(self.password, "password")?,
            invitation: self.invitation.map(SecretString::from),
        })
    }
}

/// What signing in gives.
#[Object]
impl LoginPayload {
    /// Goes into `Authorization: Bearer <token>`, and for subscriptions into
    /// `connection_init` as `{"authorization": "Bearer <token>"}`.
    async fn token(&self) -> &str {
        self.0.access.token.expose_secret()
    }

    /// When the token ends, and with it the subscriptions it opened.
    async fn expires_at(&self) -> Time {
        Time(self.0.access.expires_at)
    }

    /// Gives the next token, by `refreshToken`, once.
    async fn refresh_token(&self) -> &str {
        self.0.refresh.token.expose_secret()
    }

    /// When the refresh token ends, and with it the session.
    async fn refresh_expires_at(&self) -> Time {
        Time(self.0.refresh.expires_at)
    }

    /// Who has signed in.
    async fn user(&self) -> UserObject {
        UserObject(self.0.user.clone())
    }
}

/// What an app is set up with. Shown this once.
#[Object]
impl EnableTwoFactorPayload {
    /// In base 32, to be typed.
    async fn secret(&self) -> &str {
        self.0.secret.expose_secret()
    }

    /// As an `otpauth://` address, to be shown as a QR code.
    async fn uri(&self) -> &str {
        self.0.uri.expose_secret()
    }

    /// Each stands in for the app once.
    async fn backup_codes(&self) -> Vec<&str> {
        self.0.backup_codes.iter().map(|code| code.expose_secret()).collect()
    }
}
