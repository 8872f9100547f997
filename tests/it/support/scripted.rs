//! Servers that the project's scripts run: they do what they are told on standard
//! input, and end with it, so with this process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use super::free_port;

/// A server of a script, on a loopback port of its own.
#[derive(Clone)]
pub(crate) struct Scripted {
    url: String,
    ends: Arc<Mutex<Ends>>,
}

struct Ends {
    script: Child,
    says: BufReader<ChildStdout>,
    hears: Option<ChildStdin>,
}

impl Scripted {
    /// Runs `scripts/<name>`, until it says where its server is.
    pub(super) async fn start(name: &str) -> Self {
        let script = format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
        let start = move || {
            let mut command = Command::new(script);
            command.arg(free_port().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut script = command.spawn().unwrap();
            let says = BufReader::new(script.stdout.take().unwrap());
            let hears = script.stdin.take();
            let mut ends = Ends { script, says, hears };
            let url = ends.line();
            Self { url, ends: Arc::new(Mutex::new(ends)) }
        };
        spawn_blocking(start).await.unwrap()
    }

    /// Where the server is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server: connections break, and none can be made.
    pub(crate) async fn stop(&self) {
        self.tell("stop").await;
    }

    /// Kills all of it (SIGKILL), as a crash would.
    pub(crate) async fn kill(&self) {
        self.tell("kill").await;
    }

    /// Starts it again on the same port, with what it had.
    pub(crate) async fn start_again(&self) {
        self.tell("start").await;
    }

    /// Has the server not answer, and keep what is connected.
    pub(crate) async fn freeze(&self) {
        self.tell("freeze").await;
    }

    /// Has it go on.
    pub(crate) async fn thaw(&self) {
        self.tell("thaw").await;
    }

    /// Has the server do this; returns when it has.
    async fn tell(&self, word: &'static str) {
        let ends = Arc::clone(&self.ends);
        let tell = move || {
            let mut ends = ends.lock();
            writeln!(ends.hears.as_mut().unwrap(), "{word}").unwrap();
            assert_eq!(ends.line(), format!("{word}: done"));
        };
        spawn_blocking(tell).await.unwrap();
    }
}

impl Ends {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the server's script ended: {:?}", self.script.try_wait());
        line.trim_end().to_owned()
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.hears.take(); // which it takes as the end
        self.script.wait().ok();
    }
}
