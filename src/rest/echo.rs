//! The body of a request, kept for the answer that says what is wrong in it.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// The body of a request: its reader puts it in, and who answers has it.
#[derive(Clone, Default)]
pub(in crate::rest) struct Echo(Arc<OnceLock<Value>>);

impl Echo {
    /// Keeps the body.
    pub(in crate::rest) fn keep(&self, body: Value) {
        self.0.set(body).ok(); // read twice it would be the same
    }

    /// The body, if it was JSON.
    pub(in crate::rest) fn sent(&self) -> Option<&Value> {
        self.0.get()
    }
}
