//! The ledger, `CONFORMANCE.md`, is whole and true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How many statements there are.
const STATEMENTS: usize = 66;

/// Where there are tests, from the folder of this crate.
const SOURCES: [&str; 4] = ["src", "tests", "../src", "../tests"];

/// A statement of the ledger.
struct Row {
    number: usize,
    /// Files and the tests in them.
    tests: BTreeSet<(String, String)>,
    /// What stands beside the tests.
    words: String,
}

#[test]
fn every_statement_is_shown_or_has_a_reason() {
    let rows = rows();
    let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=STATEMENTS).collect::<Vec<_>>());
    for row in rows {
        let has_reason = ["Open: ", "Not the engine's: "].iter().any(|&reason| {
            row.words.split_once(reason).is_some_and(|(_, why)| why.trim().len() > 10)
        });
        assert!(!row.tests.is_empty() || has_reason, "C{} has neither", row.number);
    }
}

#[test]
fn every_test_in_the_ledger_exists() {
    let there = tests();
    for row in rows() {
        for (file, test) in &row.tests {
            let in_file = there.get(file).unwrap_or_else(|| panic!("C{}: no {file}", row.number));
            assert!(in_file.contains(test), "C{}: no test {test} in {file}", row.number);
        }
    }
}

#[test]
fn every_test_of_a_statement_is_in_the_ledger() {
    let rows = rows();
    let mut missing = Vec::new();
    for (file, tests) in tests() {
        for test in tests {
            for number in statements(&test) {
                let row = rows.iter().find(|row| row.number == number);
                let row = row.unwrap_or_else(|| panic!("{test} is of no statement"));
                if !row.tests.contains(&(file.clone(), test.clone())) {
                    missing.push(format!("C{number}: `{file}: {test}`"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "to be added:\n{}", missing.join("\n"));
}

#[test]
fn the_numbers_of_statements_are_read_from_names() {
    assert_eq!(statements("c45_c46_endpoints_follow"), [45, 46]);
    assert_eq!(statements("c7_a_refusal"), [7]);
    assert_eq!(statements("clusters_go_first"), [0; 0]);
    assert_eq!(statements("a_c7"), [0; 0]);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the ledger: `| C1 | statement | shown by |`.
fn rows() -> Vec<Row> {
    let ledger = fs::read_to_string(root().join("CONFORMANCE.md")).expect("the ledger");
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let number = cells.get(1)?.strip_prefix('C')?.parse().ok()?;
        let [_, _, statement, shown, _] = cells[..] else { panic!("not a row: {line}") };
        assert!(!statement.is_empty(), "C{number} says nothing");
        let (mut tests, mut words) = (BTreeSet::new(), String::new());
        for (index, part) in shown.split('`').enumerate() {
            match part.split_once(": ").filter(|_| index % 2 == 1) {
                Some((file, names)) => {
                    let names = names.split(", ");
                    tests.extend(names.map(|name| (file.to_owned(), name.to_owned())));
                }
                None => words += part,
            }
        }
        Some(Row { number, tests, words })
    };
    ledger.lines().filter_map(row).collect()
}

/// Every test there is, by file.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut tests = BTreeMap::new();
    for source in SOURCES {
        // The crate may have been taken out of its workspace.
        for path in files(&root().join(source)) {
            let text = fs::read_to_string(&path).expect("a source file");
            let name = path.strip_prefix(root()).expect("it is below");
            let name = name.to_str().expect("a plain name").to_owned();
            tests.insert(name, tests_in(&text));
        }
    }
    tests
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The names of functions right below a `#[test]` or the like.
fn tests_in(text: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_next = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_next |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, signature)) = line.split_once("fn ").filter(|_| is_next) {
            tests.extend(signature.split_once('(').map(|(name, _)| name.to_owned()));
            is_next = false;
        }
    }
    tests
}

/// The numbers that a name starts with: `c45_c46_...`.
fn statements(test: &str) -> Vec<usize> {
    let numbers = test.split('_').map_while(|part| part.strip_prefix('c')?.parse().ok());
    numbers.collect()
}
