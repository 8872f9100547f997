//! MarchProxy's control plane: parses the command line and runs the command.

/// A stream of a proxy costs a third more memory with the usual one: `docs/performance.md`.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    marchproxy::cli::run()
}
