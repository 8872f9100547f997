//! `marchproxy serve`: configuration, sockets, wiring, and the way down.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::print;
use crate::app::{App, Gates, Ground, Retention, Setup};
use crate::auth::NodeAuth;
use crate::config::ServeConfig;
use crate::hub::Hub;
use crate::licence::Licensing;
use crate::limits::Limiter;
use crate::model::Username;
use crate::nodes::Nodes;
use crate::publish::{Peers, Publisher, RedisUrl};
use crate::server::{HttpServer, InternalServer, Tls, XdsServer};
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
    is_open: bool,
}

pub(super) fn run(config: ServeConfig) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers.get())
        .enable_all()
        .build()?;
    let telemetry = {
        let _within = runtime.enter();
        telemetry::init(&config.log)?
    };
    let served = runtime.block_on(serve(config));
    telemetry.flush();
    served
}

async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let signalled = shutdown::signalled()?;
    let stop = CancellationToken::new();

    let licence = Licensing::new(config.licence.settings()?);
    let tls = config.xds.tls()?;
    let tls = match tls {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let (keys, admin) = (config.sign_in.keys(&config.storage)?, config.sign_in.first_admin()?);
    let (database, redis) = (config.storage.database()?, config.storage.redis()?);
    let limiter = Limiter::new(redis.as_ref().map(RedisUrl::client));
    let limiter = limiter.context("cannot use Redis (REDIS_URL)")?;
    let sign_ins = config.http.sign_ins(&limiter);
    let (nodes, stores) = (config.xds.node_access()?, config.certificates.stores()?);
    let gates = Gates { nodes, licence, sign_ins, stores };
    // Bound now: a taken port is an error here, not in a task later.
    let http = bound(HttpServer::bind(config.http.address()), config.http.address(), "PORT")?;
    let settings = config.xds.settings();
    let xds = bound(XdsServer::bind(config.xds.address()), config.xds.address(), "XDS_GRPC_PORT")?;

    let (internal, internal_access) = (config.internal.address(), config.internal.access()?);
    let internal = bound(InternalServer::bind(internal), internal, "XDS_HTTP_PORT")?;

    let store = Store::open(&database)
        .await
        .with_context(|| format!("cannot open the database {database} (DATABASE_URL)"))?;
    let retention = Retention::from(config.storage.snapshot_history);
    let audit_retention = config.storage.audit_retention();
    let event_retention = config.storage.event_retention();
    let setup = Setup::run(&store, admin, retention, &keys.sealer).await?;

    let (hub, nodes) = (Hub::new(), Nodes::new());
    let (publisher, nudge) =
        Publisher::new(store.clone(), hub.clone(), nodes.clone(), keys.sealer.clone());
    let peers = redis.map(|redis| Peers::new(redis, nudge.clone()));
    publisher.reconcile().await?; // so that a proxy that is waiting gets it at once
    let ground = Ground { default_group: setup.default_group, retention };
    let app = App::new(store.clone(), hub, nodes, nudge, keys, gates, ground);

    let http_settings = config.http.settings(limiter, config.graphql.settings()?);

    let renewal_interval = config.certificates.renewal_interval();
    let mut warnings = config.xds.warnings();
    warnings.extend(config.internal.warning());
    let welcome = Welcome {
        http: http.address()?,
        xds: xds.address()?,
        auth: config.xds.auth,
        tls: tls.is_some(),
        admin: config.sign_in.admin_username,
        made_up: setup.made_up,
        is_open: setup.is_open,
    };
    print(&welcome.text())?;
    if welcome.is_open {
        warnings.push("ADMIN_REGISTERS: whoever registers first is the administrator");
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }

    let stopper = stop.clone();
    // What nodes report as they are let go is written, too.
    let nodes_gone = CancellationToken::new();
    let mut serving = std::pin::pin!(async {
        let _stop_all = stop.clone().drop_guard(); // whoever fails takes the rest along
        tokio::try_join!(
            async {
                publisher.run(stop.clone()).await;
                Ok(())
            },
            async {
                if let Some(peers) = peers {
                    peers.run(stop.clone()).await;
                }
                Ok(())
            },
            async {
                app.keep_licence(stop.clone()).await;
                Ok(())
            },
            async {
                app.keep_certificates(renewal_interval, stop.clone()).await;
                Ok(())
            },
            async {
                if let Some(age) = audit_retention {
                    app.keep_audit(age, stop.clone()).await;
                }
                Ok(())
            },
            async {
                app.keep_answers(stop.clone()).await;
                Ok(())
            },
            async {
                app.watch_proxies(stop.clone()).await;
                Ok(())
            },
            async {
                app.bring_events(stop.clone()).await;
                Ok(())
            },
            async {
                app.keep_events(event_retention, stop.clone()).await;
                Ok(())
            },
            async {
                app.write_node_reports(nodes_gone.clone()).await;
                Ok(())
            },
            http.serve(app.clone(), http_settings, stop.clone()),
            internal.serve(app.clone(), internal_access, stop.clone()),
            async {
                let _gone = nodes_gone.clone().drop_guard();
                xds.serve(app.clone(), tls, settings, stop.clone()).await
            },
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
    if let Err(e) = store.close().await {
        tracing::warn!(error = &e as &dyn std::error::Error, "cannot close the database");
    }
    tracing::info!("stopped");
    Ok(())
}

fn bound<T>(socket: std::io::Result<T>, address: SocketAddr, variable: &str) -> anyhow::Result<T> {
    socket.with_context(|| format!("cannot listen on {address} (set {variable} to another port?)"))
}

impl Welcome {
    fn text(&self) -> String {
        let Self { http, xds, auth, tls, admin, made_up, is_open } = self;
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
            None if *is_open => writeln!(
                text,
                "  Sign in        nobody can yet: register, and be the administrator\n\
                 \x20                POST http://{http}/api/v1/auth/register"
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
