//! Users: who signs in.

use sea_orm::entity::prelude::*;

/// One user.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user")]
pub struct Model {
    /// Their identity.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// Unique.
    #[sea_orm(unique)]
    pub username: String,
    /// In PHC format, or as bcrypt writes it.
    pub password_hash: String,
    /// `member`, `viewer`, `operator` or `admin`.
    pub role: String,
    /// As they wrote it.
    pub email: Option<String>,
    /// The address in lower case. Unique.
    #[sea_orm(unique)]
    pub email_key: Option<String>,
    /// As they are called.
    pub first_name: Option<String>,
    /// As their family is called.
    pub last_name: Option<String>,
    /// Whether they may sign in.
    pub is_active: bool,
    /// Whether somebody has made sure that they are who they say.
    pub is_verified: bool,
    /// The secret of their second factor, sealed.
    pub totp_secret: Option<Vec<u8>>,
    /// Whether they have to give a code when they sign in.
    pub totp_enabled: bool,
    /// The time step of the newest code that was used.
    pub totp_last_step: Option<i64>,
    /// Whether tokens that belong to no session are refused.
    pub refuses_old_tokens: bool,
    /// When they last signed in.
    pub last_login_at: Option<DateTimeUtc>,
    /// When they were made.
    pub created_at: DateTimeUtc,
    /// When they were last changed; null if they never were.
    pub updated_at: Option<DateTimeUtc>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("user::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

/// No relation is followed through the entities; `store/` joins by key.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
