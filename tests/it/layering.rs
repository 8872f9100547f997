//! Who may import whom: the floors of `src/lib.rs`, checked line by line.

use std::fs;
use std::path::{Path, PathBuf};

/// A module may use those on lower floors.
const FLOORS: [&[&str]; 8] = [
    &["model", "error", "metrics", "envoy_api"],
    &["store", "compile", "history", "pgv"],
    &["events", "hub", "nodes", "loads", "auth", "limits", "licence", "secret_stores"],
    &["publish"],
    &["app"],
    &["graphql", "rest", "ads"],
    &["server"],
    &["main", "lib", "cli", "config", "telemetry", "shutdown"],
];

/// The floors whose modules may use each other: types, and wiring.
const OPEN_FLOORS: [usize; 2] = [0, 7];

/// What may not stand in the code of a folder.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    ("src/model/", &["async", "tokio", "sea_orm", "axum", "tonic", "async_graphql"]),
    ("migration/", &["marchproxy_schema", "marchproxy-schema"]),
    (
        "xds/",
        &[
            "marchproxy_schema",
            "marchproxy-schema",
            "sea_orm",
            "sea-orm",
            "async_graphql",
            "async-graphql",
        ],
    ),
];

#[test]
fn every_module_imports_from_lower_floors_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("migration/Cargo.toml"), root.join("xds/Cargo.toml")];
    for folder in ["src", "migration/src", "xds/src", "xds/tests"] {
        add_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 80, "only {} files", files.len());
    let violations = files.iter().flat_map(|file| {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        violations(path, &fs::read_to_string(file).unwrap())
    });
    let violations: Vec<_> = violations.collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn a_bad_import_is_found() {
    let table: &[(&str, &str, &[&str])] = &[
        ("src/store/rows.rs", "use crate::app::App;", &["src/store/rows.rs:1: store uses app"]),
        ("src/store/rows.rs", "// crate::app\nuse crate::{error::Result, model};", &[]),
        (
            "src/hub.rs",
            "\nuse crate::{\n    model::{Name, app},\n    nodes::Nodes,\n    Result,\n};",
            &["src/hub.rs:2: hub uses nodes"],
        ),
        ("src/ads.rs", "let a = crate::graphql::schema();", &["src/ads.rs:1: ads uses graphql"]),
        (
            "src/compile/mod.rs",
            "use crate::store::Tx;",
            &["src/compile/mod.rs:1: compile uses store"],
        ),
        ("src/app/mod.rs", "use crate::cli;", &["src/app/mod.rs:1: app uses cli"]),
        ("src/app/mod.rs", "pub(crate) fn a() { mycrate::cli() }", &[]),
        ("src/error.rs", "use crate::model::Invalid;", &[]),
        ("src/new.rs", "", &["src/new.rs: new stands on no floor"]),
        ("src/app/a.rs", "use crate::new::A;", &["src/app/a.rs:1: new stands on no floor"]),
        ("src/main.rs", "marchproxy::cli::run()", &[]),
        ("src/model/id.rs", "pub async fn id() {}", &["src/model/id.rs:1: may not say async"]),
        ("src/model/id.rs", "let asynchronous = 1; // async", &[]),
        ("xds/Cargo.toml", "sea-orm = \"2\"", &["xds/Cargo.toml:1: may not say sea-orm"]),
        ("migration/src/lib.rs", "use sea_orm_migration::*;", &[]),
    ];
    for (path, text, want) in table {
        assert_eq!(&violations(path, text), want, "{path}: {text}");
    }
}

fn add_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            add_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// What is wrong with the file at `path`, which is relative to the workspace.
fn violations(path: &str, text: &str) -> Vec<String> {
    let code: Vec<&str> =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut violations = vec![];
    for (_, words) in FORBIDDEN.iter().filter(|(folder, _)| path.starts_with(folder)) {
        for (number, line) in (1..).zip(&code) {
            let is_part = |c: char| c.is_alphanumeric() || "_-".contains(c);
            let said = line.split(|c| !is_part(c)).find(|word| words.contains(word));
            violations.extend(said.map(|word| format!("{path}:{number}: may not say {word}")));
        }
    }
    let Some(module) = path.strip_prefix("src/").and_then(|path| path.split(['/', '.']).next())
    else {
        return violations;
    };
    if floor(module).is_none() {
        violations.push(format!("{path}: {module} stands on no floor"));
    }
    for (number, used) in imports(&code.join("\n")) {
        match (floor(module), floor(used)) {
            (_, None) => violations.push(format!("{path}:{number}: {used} stands on no floor")),
            (Some(own), Some(other)) if !may_use((module, own), (used, other)) => {
                violations.push(format!("{path}:{number}: {module} uses {used}"));
            }
            (Some(_) | None, Some(_)) => {}
        }
    }
    violations
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn may_use((module, own): (&str, usize), (used, other): (&str, usize)) -> bool {
    module == used || other < own || (other == own && OPEN_FLOORS.contains(&own))
}

/// The modules behind each `crate::`, and the lines that it stands on.
fn imports(code: &str) -> Vec<(usize, &str)> {
    let mut imports = vec![];
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let number = code[..at].matches('\n').count() + 1;
        let path = &code[at + "crate::".len()..];
        let modules = if path.starts_with('{') { group(path) } else { vec![first_name(path)] };
        // `crate::Error` and `crate::Result` are of `error`.
        let modules = modules.into_iter().filter(|name| !matches!(*name, "Error" | "Result" | ""));
        imports.extend(modules.map(|name| (number, name)));
    }
    imports
}

fn first_name(path: &str) -> &str {
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(path.len());
    &path[..end]
}

/// The first names in a list like `{a, b::{c, d}}`: `a` and `b`.
fn group(path: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = vec![];
    for (at, c) in path.char_indices() {
        match c {
            '{' | ',' if depth == usize::from(c == ',') => {
                names.push(first_name(path[at + 1..].trim_start()));
                depth = 1;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}
