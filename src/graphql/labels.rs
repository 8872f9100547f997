//! Labels: what people sort things by.

use async_graphql::{InputObject, SimpleObject};

use crate::model::{Invalid, Labels};

/// Something that people sort things by, such as `team=shop`.
#[derive(SimpleObject)]
#[graphql(name = "Label")]
pub(super) struct LabelObject {
    /// What it is about.
    key: String,
    /// What is so about it; maybe empty.
    value: String,
}

/// Something to sort things by, such as `team=shop`. Key and value are up to 63 letters,
/// digits, `-`, `_`, `.` and `/`, the first and the last one a letter or a digit.
#[derive(InputObject)]
pub(super) struct LabelInput {
    /// What it is about; each key once.
    key: String,
    /// What is so about it; maybe empty.
    #[graphql(default)]
    value: String,
}

/// Labels as clients get them, by key.
pub(super) fn shown(labels: &Labels) -> Vec<LabelObject> {
    let owned = |(key, value): (&str, &str)| LabelObject { key: key.into(), value: value.into() };
    labels.iter().map(owned).collect()
}

/// Reads the field or argument `labels`.
pub(super) fn parse(labels: Vec<LabelInput>) -> Result<Labels, Invalid> {
    let read = Labels::read(labels.into_iter().map(|label| (label.key, label.value)));
    read.map_err(|e| e.within("labels"))
}
