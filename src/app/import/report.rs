//! What an import takes, and what it does not.

use std::fmt;

/// What is taken over, and what is left out or changed, and why. Nothing secret is
/// in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// How many of each noun are taken over.
    pub taken: Vec<(&'static str, usize)>,
    /// What is not.
    pub left_out: Vec<Remark>,
    /// What is taken over, but not all of it or not as it was.
    pub changed: Vec<Remark>,
}

/// A word on one row, or on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is: a noun, and the name or id.
    pub what: String,
    /// Why.
    pub why: String,
}

impl ImportReport {
    /// It in a line: how many of each noun there are, and how much is left out.
    pub(super) fn summary(&self) -> String {
        let taken = self.taken.iter().filter(|(_, count)| *count > 0);
        let taken: Vec<_> = taken.map(|(noun, count)| format!("{count} {noun}")).collect();
        let taken = if taken.is_empty() { "nothing".to_owned() } else { taken.join(", ") };
        format!("imported {taken}; left out: {}", self.left_out.len())
    }

    pub(super) fn leave_out(&mut self, what: String, why: impl fmt::Display) {
        self.left_out.push(Remark { what, why: why.to_string() });
    }

    pub(super) fn change(&mut self, what: String, why: impl fmt::Display) {
        self.changed.push(Remark { what, why: why.to_string() });
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Taken over:")?;
        for (noun, count) in &self.taken {
            writeln!(f, "  {count:>6} {noun}")?;
        }
        for (title, remarks) in
            [("Taken over, with a difference:", &self.changed), ("Left out:", &self.left_out)]
        {
            if !remarks.is_empty() {
                writeln!(f, "{title}")?;
            }
            for Remark { what, why } in remarks {
                writeln!(f, "  {what}: {why}")?;
            }
        }
        Ok(())
    }
}
