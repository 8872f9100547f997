//! Looking for labels.

use sea_orm::sea_query::LikeExpr;
use sea_orm::{ColumnTrait, Condition};

use crate::model::Labels;

/// What has all of these labels.
pub(super) fn labelled(column: impl ColumnTrait, labels: &Labels) -> Condition {
    labels.iter().fold(Condition::all(), |condition, (key, value)| {
        let label = format!(";{key}={value};").replace('_', "\\_"); // the only one that LIKE knows
        condition.add(column.like(LikeExpr::new(format!("%{label}%")).escape('\\')))
    })
}
