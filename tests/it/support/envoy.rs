//! Real Envoys.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::process::Process;
use super::{Plane, eventually, free_port};

/// How an Envoy talks xDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Sotw,
    Delta,
}

/// A running Envoy; killed when dropped.
pub(crate) struct Envoy {
    process: Process,
    admin: u16,
    log: PathBuf,
    client: reqwest::Client,
}

impl Envoy {
    /// Starts an Envoy of the default group, and waits until it is up.
    pub(crate) async fn start(plane: &Plane, protocol: Protocol) -> Self {
        let envoy = Self::start_as(plane, protocol, &["--node-id", "cluster-1"]);
        plane.wait_for_node("cluster-1").await;
        envoy
    }

    /// Starts an Envoy from a bootstrap with these arguments.
    pub(crate) fn start_as(plane: &Plane, protocol: Protocol, arguments: &[&str]) -> Self {
        Self::start_changed(plane, protocol, arguments, |bootstrap| bootstrap)
    }

    /// As [`Envoy::start_as`], with a changed bootstrap.
    pub(crate) fn start_changed(
        plane: &Plane,
        protocol: Protocol,
        arguments: &[&str],
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let admin = free_port();
        let protocol = match protocol {
            Protocol::Sotw => "sotw",
            Protocol::Delta => "delta",
        };
        let admin_port = admin.to_string();
        let mut all = vec!["--protocol", protocol, "--admin-port", &admin_port];
        all.extend(arguments);
        let bootstrap = change(plane.bootstrap(&all));
        Self::run(&plane.dir(), &bootstrap, &[], admin)
    }

    /// Starts an Envoy from a bootstrap that somebody wrote by hand.
    ///
    /// An admin page is added to it: the tests look there.
    pub(crate) fn start_from(plane: &Plane, bootstrap: &str, arguments: &[&str]) -> Self {
        let admin = free_port();
        Self::run(&plane.dir(), &with_admin(bootstrap, admin), arguments, admin)
    }

    /// Starts an Envoy that belongs to no control plane; its log is in `dir`.
    pub(crate) fn start_alone(dir: &Path, bootstrap: &str) -> Self {
        let admin = free_port();
        Self::run(dir, &with_admin(bootstrap, admin), &[], admin)
    }

    fn run(dir: &Path, bootstrap: &str, arguments: &[&str], admin: u16) -> Self {
        let log = dir.join(format!("envoy-{admin}.log"));
        let mut command = Command::new(binary());
        command
            .args(["--config-yaml", bootstrap, "--concurrency", "1", "--disable-hot-restart"])
            .args(["--log-level", "info", "--component-log-level", "config:debug,upstream:info"])
            .args(arguments);
        let process = Process::start(&mut command, &log);
        Self { process, admin, log, client: reqwest::Client::new() }
    }

    /// What a page of Envoy's admin interface says.
    pub(crate) async fn admin(&self, page: &str) -> Result<String, String> {
        let url = format!("http://127.0.0.1:{}{page}", self.admin);
        let answer = self.client.get(url).send().await.map_err(|e| e.to_string())?;
        answer.text().await.map_err(|e| e.to_string())
    }

    /// What Envoy holds, by its own account.
    pub(crate) async fn config_dump(&self) -> Value {
        serde_json::from_str(&self.admin("/config_dump?include_eds").await.unwrap()).unwrap()
    }

    /// A counter or gauge; 0 if Envoy does not know it.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let stats = self.admin(&format!("/stats?filter=^{name}$")).await.unwrap();
        stats
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
            .unwrap_or(0)
    }

    /// Waits until a counter or gauge is as wanted.
    pub(crate) async fn until_stat(&self, name: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        eventually(name, async || {
            let value = self.stat(name).await;
            if wanted(value) { Ok(value) } else { Err(value.to_string()) }
        })
        .await
    }

    /// What Envoy has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}

/// A bootstrap with an admin page added to it.
fn with_admin(bootstrap: &str, port: u16) -> String {
    format!(
        "{bootstrap}\nadmin: \
         {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}\n"
    )
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what Envoy logged ({:?}):\n{}", self.process.ended(), self.log());
        }
    }
}

/// Where Envoy is; the project's own script installs it if it is not there.
fn binary() -> &'static str {
    static BINARY: OnceLock<String> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/envoy");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{script} could not install Envoy");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
