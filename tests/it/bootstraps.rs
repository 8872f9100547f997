//! What `docs/bootstraps.md` shows is part of what `marchproxy bootstrap` prints.

use std::fs;
use std::process::Command;

/// How a bootstrap is introduced: by the command that prints it.
const PROMPT: &str = "$ marchproxy bootstrap";

#[test]
fn the_bootstraps_that_are_shown_are_part_of_those_that_are_printed() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bootstraps.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("```").filter_map(|block| block.split_once(PROMPT));
    let mut seen = 0;
    for (_, block) in blocks {
        let (arguments, shown) = block.split_once('\n').unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_marchproxy"))
            .arg("bootstrap")
            .args(arguments.split_whitespace())
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(shown), "{arguments}: not {shown} but {printed}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen} of them");
}
