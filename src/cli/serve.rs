//! `marchproxy serve`: configuration, sockets, wiring, and the way down.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::print;
use crate::app::{App, Setup};
use crate::auth::{NodeAuth, Tokens};
use crate::config::ServeConfig;
use crate::hub::Hub;
use crate::model::Username;
use crate::nodes::Nodes;
use crate::publish::Publisher;
use crate::server::{HttpServer, Tls, XdsServer};
use crate::store::Store;
use crate::{shutdown, telemetry};

/// What a newcomer needs next.
struct Welcome {
    http: SocketAddr,
    xds: SocketAddr,
    auth: NodeAuth,
    tls: bool,
    admin: Username,
    made_up: Option<(Username, SecretString)>,
}

pub(super) fn run(config: ServeConfig) -> anyhow::Result<()> {
    telemetry::init(&config.log_level, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let signalled = shutdown::signalled()?;
    let stop = CancellationToken::new();

    let (access, tls) = (config.node_access()?, config.xds_tls()?);
    let tls = match tls {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let (secret, admin, database) = (config.secret()?, config.first_admin()?, config.database()?);
    // Bound now: a taken port is an error here, not in a task later.
    let http = bound(HttpServer::bind(config.http_address()), config.http_address(), "PORT")?;
    let settings = config.xds_settings();
    let xds = bound(XdsServer::bind(config.xds_address()), config.xds_address(), "XDS_GRPC_PORT")?;

    let tokens = Tokens::new(&secret);
    let store = Store::open(&database).await.context("cannot open the database")?;
    let setup = Setup::run(&store, admin).await?;

    let (hub, nodes) = (Hub::new(), Nodes::new());
    let (publisher, nudge) = Publisher::new(store.clone(), hub.clone(), nodes.clone());
    publisher.reconcile().await?; // so that a proxy that is waiting gets it at once
    let app = App::new(store.clone(), hub, nodes, nudge, tokens, access, setup.default_group);

    let warnings = config.warnings();
    let welcome = Welcome {
        http: http.address()?,
        xds: xds.address()?,
        auth: config.xds_auth,
        tls: tls.is_some(),
        admin: config.admin_username,
        made_up: setup.made_up,
    };
    print(&welcome.text())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }

    let stopper = stop.clone();
    let mut serving = std::pin::pin!(async {
        let _stop_all = stop.clone().drop_guard(); // whoever fails takes the rest along
        tokio::try_join!(
            async {
                publisher.run(stop.clone()).await;
                Ok(())
            },
            http.serve(app.clone(), stop.clone()),
            xds.serve(app, tls, settings, stop.clone()),
        )
    });
    tokio::select! {
        ended = &mut serving => {
            ended?;
        }
        () = signalled => {
            tracing::info!("stopping");
            stopper.cancel();
            match timeout(shutdown::DEADLINE, serving).await {
                Ok(ended) => {
                    ended?;
                }
                Err(_) => tracing::warn!("connections were still open at the deadline"),
            }
        }
    }
    store.close().await?;
    tracing::info!("stopped");
    Ok(())
}

fn bound<T>(socket: std::io::Result<T>, address: SocketAddr, variable: &str) -> anyhow::Result<T> {
    socket.with_context(|| format!("cannot listen on {address} (set {variable} to another port?)"))
}

impl Welcome {
    fn text(&self) -> String {
        let Self { http, xds, auth, tls, admin, made_up } = self;
        let tls = if *tls { ", over TLS" } else { "" };
        let auth = match auth {
            NodeAuth::None => "",
            NodeAuth::Token => ", with a token",
            NodeAuth::Mtls => ", with a client certificate",
        };
        let mut text = format!(
            "\nMarchProxy control plane {} is up.\n\n\
             \x20 GraphQL        http://{http}/graphql\n\
             \x20 Subscriptions  ws://{http}/graphql/ws\n\
             \x20 xDS (gRPC)     {xds}{tls}{auth}\n",
            env!("CARGO_PKG_VERSION"),
        );
        if cfg!(feature = "dashboard") {
            writeln!(text, "  GraphiQL       http://{http}/graphiql").ok();
        }
        match made_up {
            Some((name, password)) => writeln!(
                text,
                "  Sign in        {name} / {}   (shown this once)",
                password.expose_secret()
            ),
            None => writeln!(text, "  Sign in        {admin}, with the password you know"),
        }
        .ok();
        writeln!(text, "\n  Start an Envoy:\n\n    {}\n", self.envoy_command()).ok();
        text
    }

    /// A command that starts an Envoy on this machine, to be pasted.
    fn envoy_command(&self) -> String {
        let envoy =
            if Path::new("scripts/envoy").exists() { "\"$(scripts/envoy)\"" } else { "envoy" };
        let exe = std::env::args_os().next().unwrap_or_else(|| "marchproxy".into());
        let mut options = "--node-id cluster-1".to_owned();
        if !self.xds.ip().is_loopback() && !self.xds.ip().is_unspecified() {
            write!(options, " --xds-host {}", self.xds.ip()).ok();
        }
        if self.xds.port() != 18000 {
            write!(options, " --xds-port {}", self.xds.port()).ok();
        }
        match self.auth {
            NodeAuth::None => {}
            NodeAuth::Token => options.push_str(" --token TOKEN"),
            NodeAuth::Mtls => options.push_str(" --tls-cert FILE --tls-key FILE"),
        }
        if self.tls {
            options.push_str(" --tls-ca FILE");
        }
        format!("{envoy} --config-yaml \"$({} bootstrap {options})\"", exe.to_string_lossy())
    }
}
