//! What xDS is served on, and to whom.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::{ArgAction, Args};
use marchproxy_xds::Settings;

use crate::auth::{NodeAccess, NodeAuth};
use crate::server::TlsFiles;

/// Where proxies are served, and what they have to prove.
#[derive(Clone, Debug, Args)]
pub struct XdsConfig {
    /// The IP address that xDS is served on.
    #[arg(
        id = "xds_host",
        long = "xds-host",
        env = "XDS_HOST",
        value_name = "XDS_HOST",
        default_value = "127.0.0.1"
    )]
    pub host: IpAddr,

    /// The port that xDS is served on.
    #[arg(id = "xds_grpc_port", long = "xds-grpc-port", env = "XDS_GRPC_PORT", value_name = "XDS_GRPC_PORT", default_value_t = 18000, value_parser = clap::value_parser!(u16).range(1..))]
    pub grpc_port: u16,

    /// What proxies have to prove themselves with.
    #[arg(id = "xds_auth", long = "xds-auth", env = "XDS_AUTH", value_enum, default_value_t)]
    pub auth: NodeAuth,

    /// The certificate that xDS is served with: PEM, the server's own first. It is
    /// read again when it changes. Without one xDS is plain text.
    #[arg(id = "xds_tls_cert", long = "xds-tls-cert", env = "XDS_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key: PEM.
    #[arg(id = "xds_tls_key", long = "xds-tls-key", env = "XDS_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The authorities that the certificates of proxies are from: PEM. For
    /// `XDS_AUTH=mtls`.
    #[arg(
        id = "xds_tls_client_ca",
        long = "xds-tls-client-ca",
        env = "XDS_TLS_CLIENT_CA",
        value_name = "FILE"
    )]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether secrets (SDS) may go over plain text to other machines.
    #[arg(
        id = "xds_allow_plaintext_secrets",
        long = "xds-allow-plaintext-secrets",
        env = "XDS_ALLOW_PLAINTEXT_SECRETS",
        value_name = "XDS_ALLOW_PLAINTEXT_SECRETS",
        action = ArgAction::Set,
        default_value_t = false,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true
    )]
    pub allow_plaintext_secrets: bool,

    /// How many xDS streams may be open in all.
    #[arg(
        id = "xds_max_streams",
        long = "xds-max-streams",
        env = "XDS_MAX_STREAMS",
        value_name = "XDS_MAX_STREAMS",
        default_value = "50000"
    )]
    pub max_streams: NonZeroU32,

    /// How many of them one IP address may have open.
    #[arg(
        id = "xds_max_streams_per_peer",
        long = "xds-max-streams-per-peer",
        env = "XDS_MAX_STREAMS_PER_PEER",
        value_name = "XDS_MAX_STREAMS_PER_PEER",
        default_value = "10000"
    )]
    pub max_streams_per_peer: NonZeroU32,
}

impl XdsConfig {
    /// Where xDS is served.
    pub fn address(&self) -> SocketAddr {
        (self.host, self.grpc_port).into()
    }

    /// What proxies have to prove, and what they are given.
    ///
    /// The error names the setting that is missing.
    pub fn node_access(&self) -> anyhow::Result<NodeAccess> {
        let ready = self.tls_cert.is_some() && self.tls_client_ca.is_some();
        ensure!(
            self.auth != NodeAuth::Mtls || ready,
            "XDS_AUTH=mtls needs XDS_TLS_CERT, XDS_TLS_KEY and XDS_TLS_CLIENT_CA"
        );
        Ok(NodeAccess::new(self.auth, self.allow_plaintext_secrets))
    }

    /// The files that xDS is secured with; none if it is plain text.
    ///
    /// The error names the setting that is missing, or of no use.
    pub fn tls(&self) -> anyhow::Result<Option<TlsFiles>> {
        let client_authorities = self.tls_client_ca.clone();
        ensure!(
            client_authorities.is_none() || self.auth == NodeAuth::Mtls,
            "XDS_TLS_CLIENT_CA is of no use without XDS_AUTH=mtls"
        );
        match (self.tls_cert.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate, key, client_authorities }))
            }
            (Some(_), None) => bail!("XDS_TLS_CERT needs XDS_TLS_KEY, its private key"),
            (None, Some(_)) => bail!("XDS_TLS_KEY needs XDS_TLS_CERT, its certificate"),
            (None, None) => Ok(None),
        }
    }

    /// What whoever starts it should think about again.
    pub fn warnings(&self) -> Vec<&'static str> {
        let plain = self.tls_cert.is_none();
        let mut warnings = vec![];
        if self.host.is_loopback() {
            return warnings;
        }
        match self.auth {
            NodeAuth::None if plain => warnings.push(
                "xDS is served off loopback, in plain text and to whoever connects: \
                 keep it on a network of its own, or set XDS_AUTH and XDS_TLS_CERT",
            ),
            NodeAuth::None => warnings.push(
                "xDS is served off loopback and to whoever connects: \
                 keep it on a network of its own, or set XDS_AUTH",
            ),
            NodeAuth::Token if plain => warnings.push(
                "xDS is served off loopback in plain text: \
                 whoever reads along has the tokens; set XDS_TLS_CERT",
            ),
            NodeAuth::Token | NodeAuth::Mtls => {}
        }
        if plain && self.allow_plaintext_secrets {
            warnings
                .push("XDS_ALLOW_PLAINTEXT_SECRETS: secrets go to other machines in plain text");
        }
        warnings
    }

    /// How the xDS server behaves.
    pub fn settings(&self) -> Settings {
        let count = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        let mut settings = Settings::default();
        settings.streams = count(self.max_streams);
        settings.streams_per_peer = count(self.max_streams_per_peer);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> XdsConfig {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            config: XdsConfig,
        }
        let arguments = std::iter::once("serve").chain(arguments.iter().copied());
        <Command as clap::Parser>::try_parse_from(arguments).unwrap().config
    }

    #[test]
    fn what_goes_together_is_asked_for_by_name() {
        const TLS: [&str; 2] = ["--xds-tls-cert=c", "--xds-tls-key=k"];
        const CA: &str = "--xds-tls-client-ca=a";
        let table: [(&[&str], &str); 10] = [
            (&[], ""),
            (&["--xds-auth=token"], ""),
            (&TLS, ""),
            (&["--xds-auth=mtls", TLS[0], TLS[1], CA], ""),
            (&["--xds-auth=mtls"], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=mtls", TLS[0], TLS[1]], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=mtls", CA], "XDS_AUTH=mtls needs"),
            (&["--xds-auth=token", TLS[0], TLS[1], CA], "XDS_TLS_CLIENT_CA is of no use"),
            (&[TLS[0]], "XDS_TLS_CERT needs XDS_TLS_KEY"),
            (&[TLS[1]], "XDS_TLS_KEY needs XDS_TLS_CERT"),
        ];
        for (arguments, want) in table {
            let config = config(arguments);
            let checked = config.node_access().and_then(|_| config.tls());
            let said = checked.err().map(|e| e.to_string()).unwrap_or_default();
            assert_eq!(said.is_empty(), want.is_empty(), "{arguments:?}: {said}");
            assert!(said.starts_with(want), "{arguments:?}: {said}");
        }
    }

    #[test]
    fn open_doors_are_warned_of() {
        const AWAY: &str = "--xds-host=0.0.0.0";
        const TLS: [&str; 2] = ["--xds-tls-cert=c", "--xds-tls-key=k"];
        let table: [(&[&str], usize); 8] = [
            (&[], 0),
            (&["--xds-allow-plaintext-secrets"], 0),
            (&[AWAY], 1),
            (&[AWAY, "--xds-allow-plaintext-secrets=true"], 2),
            (&[AWAY, "--xds-auth=token"], 1),
            (&[AWAY, TLS[0], TLS[1]], 1),
            (&[AWAY, TLS[0], TLS[1], "--xds-auth=token"], 0),
            (&[AWAY, TLS[0], TLS[1], "--xds-auth=token", "--xds-allow-plaintext-secrets"], 0),
        ];
        for (arguments, want) in table {
            assert_eq!(config(arguments).warnings().len(), want, "{arguments:?}");
        }
    }
}
