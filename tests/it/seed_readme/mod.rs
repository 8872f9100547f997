//! A walk through the README of the first MarchProxy: what it says of ports, variables,
//! endpoints, answers, flags and Envoy's bootstrap is done here as it stands there.
//!
//! It speaks of fixed ports and of machines called `api-server`, `postgres` and
//! `envoy`. So it is walked in a network of its own, where all ports are free and those
//! names are this machine's. Where no such network is to be had, the same walk uses
//! this one, with the default ports, and with addresses for the names.
//! `docs/compatibility.md` lists the lines that say how the first one was built.

mod variables;
mod walk;

use std::fs;
use std::path::Path;
use std::process::Command;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

pub(crate) use self::walk::BOOTSTRAP;
use crate::support::{Postgres, installed};

/// How the walk is told that it is one, and whether in a network of its own.
const NETWORK: &str = "SEED_README_NETWORK";
/// Where PostgreSQL is reached from within that network: a socket in the file system.
const DATABASE_SOCKET: &str = "SEED_README_DATABASE_SOCKET";
/// And from outside of it.
const DATABASE_PORT: &str = "SEED_README_DATABASE_PORT";

/// Turns the loopback interface of a new network on (SIOCSIFFLAGS).
const LOOPBACK_UP: &str = "import fcntl, socket, struct; \
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x49))";

/// Brings up a network where the names in the document's examples are this machine's,
/// and runs a command in it.
const ENTER: &str = r#"python3 -c "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@""#;

/// Where the walk goes.
struct Ground {
    /// Whether names and ports are ours alone.
    is_own: bool,
    database_socket: String,
    database_port: String,
}

impl Ground {
    /// As the test that started this process says; none if it was not started so.
    #[expect(clippy::disallowed_methods, reason = "one test tells another, not the server")]
    fn told() -> Option<Self> {
        let told = |name: &str| std::env::var(name).ok();
        Some(Self {
            is_own: told(NETWORK)? == "own",
            database_socket: told(DATABASE_SOCKET)?,
            database_port: told(DATABASE_PORT)?,
        })
    }

    /// `name` as the document has it, where that leads here.
    fn host(&self, name: &'static str) -> &'static str {
        if self.is_own { name } else { "127.0.0.1" }
    }
}

#[tokio::test]
async fn the_document_holds_line_by_line() {
    installed("envoy");
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost api-server postgres envoy xds.example\n").unwrap();
    let server = Postgres::start().await;
    let database = server.database().await;
    server.run("postgres", "CREATE ROLE \"user\" LOGIN PASSWORD 'pass'").await;
    server.run("postgres", "CREATE DATABASE marchproxy OWNER \"user\"").await;
    let port = database.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
    let mut relaying = JoinSet::new();
    let socket = dir.path().join("database");
    let listener = UnixListener::bind(&socket).unwrap();
    relaying.spawn(relay_out(listener, format!("127.0.0.1:{port}")));

    let is_own = enter(&hosts).arg("true").output().is_ok_and(|output| output.status.success());
    let mut walk = if is_own {
        let mut enter = enter(&hosts);
        enter.arg(std::env::current_exe().unwrap());
        enter
    } else {
        eprintln!("no network of its own to be had; using this one");
        Command::new(std::env::current_exe().unwrap())
    };
    walk.args(["--exact", "seed_readme::one_walk", "--ignored", "--nocapture"])
        .env(NETWORK, if is_own { "own" } else { "this" })
        .env(DATABASE_SOCKET, &socket)
        .env(DATABASE_PORT, &port);
    let output = tokio::process::Command::from(walk).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

// Several threads: what is relayed must not wait for the commands that are run.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the test above starts it, in a network of its own"]
async fn one_walk() {
    let Some(ground) = Ground::told() else {
        panic!("it is started by the_document_holds_line_by_line");
    };
    let mut relaying = JoinSet::new();
    if ground.is_own {
        let listener = TcpListener::bind("127.0.0.1:5432").await.unwrap();
        relaying.spawn(relay_in(listener, ground.database_socket.clone()));
    }
    walk::walk(&ground).await;
}

/// The command that enters a network of its own, and there runs what is added to it.
fn enter(hosts: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-c", ENTER, "sh", LOOPBACK_UP]);
    command.arg(hosts);
    command
}

/// From the socket in the file system to a port of this network.
async fn relay_out(listener: UnixListener, to: String) {
    let mut relaying = JoinSet::new();
    loop {
        let (mut from, _) = listener.accept().await.unwrap();
        let to = to.clone();
        relaying.spawn(async move {
            if let Ok(mut to) = TcpStream::connect(to).await {
                copy_bidirectional(&mut from, &mut to).await.ok();
            }
        });
    }
}

/// From a port of the own network to the socket in the file system.
async fn relay_in(listener: TcpListener, to: String) {
    let mut relaying = JoinSet::new();
    loop {
        let (mut from, _) = listener.accept().await.unwrap();
        let to = to.clone();
        relaying.spawn(async move {
            if let Ok(mut to) = UnixStream::connect(to).await {
                copy_bidirectional(&mut from, &mut to).await.ok();
            }
        });
    }
}
