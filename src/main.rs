//! MarchProxy's control plane: parses the command line and runs the command.

fn main() -> anyhow::Result<()> {
    marchproxy::cli::run()
}
