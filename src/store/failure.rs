//! What the database's errors mean.

use sea_orm::sqlx::error::{DatabaseError, Error as SqlxError};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::error::Error;
use crate::model::Invalid;

/// What PostgreSQL says when it cannot work now, by the class of its codes: no
/// connection, no resources, an operator stepped in, its disk fails.
const AWAY_CLASSES: [&str; 4] = ["08", "53", "57", "58"];

/// And by the code: a read-only standby, a transaction that idled for too long,
/// a serialization failure, a deadlock, a lock that was not to be had in time.
const AWAY_CODES: [&str; 5] = ["25006", "25P03", "40001", "40P01", "55P03"];

/// And SQLite: busy, locked, trouble with the disk, disk full, file not there.
const AWAY_SQLITE: [i32; 5] = [5, 6, 10, 13, 14];

/// PostgreSQL takes no NUL in a text.
const NUL: [&str; 2] = ["22021", "22P05"];

/// What is said of a database that does not answer: it is away.
pub(super) fn late() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database does not answer in time".to_owned()))
}

impl From<DbErr> for Error {
    /// The one place where a database's error becomes ours.
    ///
    /// One that may be over soon is `Unavailable`, and nothing has happened. It is
    /// not tried again here: deadlocks and serialization failures are not to be
    /// expected, as a change locks its group first. All else is internal, unless
    /// the store recognised what it means.
    fn from(e: DbErr) -> Self {
        if is_away(&e) {
            Self::unavailable("the database", e)
        } else if code(&e).is_some_and(|code| NUL.contains(&&*code)) {
            Invalid::new("input", "a text must not hold NUL").into()
        } else {
            Self::internal(e)
        }
    }
}

fn is_away(e: &DbErr) -> bool {
    if matches!(e, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)) {
        return true;
    }
    match sqlx_error(e) {
        Some(SqlxError::Database(e)) => is_away_database(&**e),
        Some(e) => matches!(
            e,
            SqlxError::Io(_)
                | SqlxError::Tls(_)
                | SqlxError::Protocol(_)
                | SqlxError::PoolTimedOut
                | SqlxError::PoolClosed
                | SqlxError::WorkerCrashed
        ),
        None => false,
    }
}

fn is_away_database(e: &dyn DatabaseError) -> bool {
    let Some(code) = e.code() else { return false };
    if e.try_downcast_ref::<PgDatabaseError>().is_some() {
        let class = code.get(..2).unwrap_or_default();
        return AWAY_CLASSES.contains(&class) || AWAY_CODES.contains(&&*code);
    }
    // The low byte is the code, the others say more.
    e.try_downcast_ref::<SqliteError>().is_some()
        && code.parse::<i32>().is_ok_and(|code| AWAY_SQLITE.contains(&(code & 0xff)))
}

/// PostgreSQL's code of an error.
fn code(e: &DbErr) -> Option<String> {
    let SqlxError::Database(e) = sqlx_error(e)? else { return None };
    e.try_downcast_ref::<PgDatabaseError>().map(|e| e.code().to_owned())
}

fn sqlx_error(e: &DbErr) -> Option<&SqlxError> {
    if let DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) = e {
        Some(e)
    } else {
        None
    }
}

/// What an insert or update says of a name that is taken.
pub(super) fn name_taken(kind: &'static str, name: &str) -> impl FnOnce(DbErr) -> Error + use<> {
    let name = name.to_owned();
    move |e| match e.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            Error::AlreadyExists { kind, name, path: vec!["name".to_owned()] }
        }
        Some(_) | None => e.into(),
    }
}
