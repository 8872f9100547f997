//! How long the audit log is kept, and how often a second factor may be guessed.

use std::num::NonZeroU32;

use chrono::TimeDelta;

use super::sign_in_limit::SignInLimit;
use super::testing::{admin, app_that_keeps};
use super::*;
use crate::error::Error;
use crate::limits::Limiter;
use crate::model::{AuditFilter, NewAuditEntry};

#[tokio::test]
async fn audit_entries_are_forgotten_when_they_are_old() {
    let (app, admin, _dir) = app_that_keeps(10).await;
    let now = now();
    for days in [400, 366, 364, 1] {
        let entry = NewAuditEntry {
            operation: format!("{days}"),
            summary: "test".to_owned(),
            ..NewAuditEntry::default()
        };
        let tx = app.0.store.write().await.unwrap();
        tx.insert_audit_entry(entry, now - TimeDelta::days(days)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let filter = AuditFilter::default();
    let kept = async || {
        let entries = app.audit_entries(&admin, &filter, None, 100).await.unwrap();
        entries.into_iter().map(|entry| entry.done.operation).collect::<Vec<_>>()
    };
    assert_eq!(kept().await, ["1", "364", "366", "400"]);
    assert_eq!(app.forget_audit(now - TimeDelta::days(365)).await.unwrap(), 2);
    assert_eq!(kept().await, ["1", "364"]);
    assert_eq!(app.forget_audit(now - TimeDelta::days(365)).await.unwrap(), 0);
}

#[tokio::test]
async fn codes_cannot_be_guessed_from_many_addresses() {
    let (app, _, _dir) = app_that_keeps(10).await;
    let user = admin().user;
    // None is counted unless attempts are.
    for _ in 0..10 {
        app.count_code(user).await.unwrap();
    }
    let limiter = Limiter::new(None).unwrap();
    let sign_ins = Some(SignInLimit { limiter, attempts: NonZeroU32::MAX });
    let mut parts = Arc::into_inner(app.0).expect("nobody else has it");
    parts.sign_ins = sign_ins;
    let app = App(Arc::new(parts), Mode::Real);
    // Of eleven, six at least are in one minute, wherever it ends.
    let mut refused = 0;
    for _ in 0..11 {
        match app.count_code(user).await {
            Ok(()) => {}
            Err(Error::TooMany { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    app.forget_codes(user).await;
    app.count_code(user).await.unwrap();
}
