//! How nodes prove which group they belong to: by token, or by certificate.
//!
//! What came with a call is a [`NodeCredential`]. It is read at the edge, and
//! proves nothing yet: a token has to be looked up by its hash, and a name in a
//! certificate has to be that of a group (`App::identify`).

mod certificate;
mod lease;
mod secret;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::ValueEnum;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use rustls::pki_types::CertificateDer;
use tokio::sync::broadcast;

use crate::error::{Error, Result};
use crate::model::{Name, TokenHash};

pub use lease::Lease;
pub use secret::{NodeSecret, PresentedToken, SecretKind};

/// How many revocations a stream may miss before it ends as if it were meant.
const RING: usize = 64;

/// What a node has to prove itself with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NodeAuth {
    /// Nothing: it is what it says it is.
    #[default]
    None,
    /// A group's key, or a node token.
    Token,
    /// A client certificate that names its group.
    Mtls,
}

/// What the server knows of a connection; in the extensions of its requests.
#[derive(Clone, Debug, Default)]
pub struct ConnectionInfo {
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub secure: bool,
    /// The client's certificate and what leads to its authority, if it showed
    /// one: verified when the connection was made. The client's own is first.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// What came with a call to prove who calls, and over what.
pub struct NodeCredential {
    /// Why the token cannot be read, if one came that cannot.
    token: Result<Option<PresentedToken>, &'static str>,
    connection: ConnectionInfo,
}

/// What nodes have to prove, and news of what proves nothing any more.
#[derive(Debug)]
pub struct NodeAccess {
    auth: NodeAuth,
    plaintext_secrets: bool,
    revoked: broadcast::Sender<TokenHash>,
}

impl ConnectionInfo {
    /// Whether nobody else can read along: it is encrypted, or on this machine.
    pub fn is_private(&self) -> bool {
        self.secure || self.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }
}

impl NodeCredential {
    /// Reads the metadata of a call, and what the server knows of it.
    ///
    /// Without a [`ConnectionInfo`] it came from anywhere, in plain text.
    pub fn read(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let connection = extensions.get::<ConnectionInfo>().cloned().unwrap_or_default();
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let token = match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => PresentedToken::read(value.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err("there is more than one `authorization`"),
        };
        Self { token, connection }
    }

    /// The token that came; `UnprovenNode` if none did, or it is not one of ours.
    pub fn token(&self) -> Result<&PresentedToken> {
        match &self.token {
            Ok(Some(token)) => Ok(token),
            Ok(None) => Err(Error::UnprovenNode("send `authorization: Bearer <token>`")),
            Err(why) => Err(Error::UnprovenNode(why)),
        }
    }

    /// What may be a group's name in the client's certificate; `UnprovenNode`
    /// if it showed none.
    pub fn certificate_names(&self) -> Result<Vec<Name>> {
        match self.connection.certificates.first() {
            Some(certificate) => certificate::names(certificate),
            None => Err(Error::UnprovenNode("a client certificate is needed")),
        }
    }

    /// What it came over.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }
}

/// Without the token.
impl fmt::Debug for NodeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCredential")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl NodeAccess {
    /// Asks nodes for such proof, and gives secrets over plain text or not.
    pub fn new(auth: NodeAuth, plaintext_secrets: bool) -> Self {
        Self { auth, plaintext_secrets, revoked: broadcast::Sender::new(RING) }
    }

    /// What nodes have to prove themselves with.
    pub fn auth(&self) -> NodeAuth {
        self.auth
    }

    /// Whether secrets may go over such a connection.
    pub fn gives_secrets(&self, connection: &ConnectionInfo) -> bool {
        self.plaintext_secrets || connection.is_private()
    }

    /// Ends what was opened with this token.
    pub fn revoke(&self, token: TokenHash) {
        // No receiver is no error.
        self.revoked.send(token).ok();
    }

    /// Hears of tokens that are revoked from now on. To be called before a token
    /// is looked up, so that there is no gap.
    pub(crate) fn revocations(&self) -> broadcast::Receiver<TokenHash> {
        self.revoked.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, value.parse().unwrap())).collect()
    }

    #[test]
    fn a_call_has_one_token_of_ours_or_is_told_what_is_wrong() {
        let secret = NodeSecret::make(SecretKind::NodeToken);
        let good = format!("Bearer {}", secret.expose());
        let lower = format!("bearer {}", secret.expose());
        let cut = &good[..good.len() - 1];
        let table: [(&[&str], &str); 9] = [
            (&[&good], ""),
            (&[&lower], ""),
            (&[], "send `authorization: Bearer <token>`"),
            (&[&good, &good], "there is more than one `authorization`"),
            (&[secret.expose()], "`authorization` must be `Bearer <token>`"),
            (&["Basic YTpi"], "`authorization` must be `Bearer <token>`"),
            (&["Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"], "this is no group's key and no node token"),
            (&[cut], "this is no group's key and no node token"),
            (&["Bearer mpn_"], "this is no group's key and no node token"),
        ];
        for (values, want) in table {
            let credential = NodeCredential::read(&headers(values), &Extensions::new());
            let said = credential.token().map_err(|e| e.to_string()).err().unwrap_or_default();
            let said = said.strip_prefix("the node is not let in: ").unwrap_or(&said);
            assert_eq!(said, want, "{values:?}");
        }
    }

    #[test]
    fn nobody_reads_along_on_this_machine_or_over_tls() {
        let table = [
            (Some("127.0.0.1:1"), false, true),
            (Some("127.8.0.1:1"), false, true),
            (Some("[::1]:1"), false, true),
            (Some("[::ffff:127.0.0.1]:1"), false, true),
            (Some("192.0.2.1:1"), false, false),
            (Some("[2001:db8::1]:1"), false, false),
            (Some("192.0.2.1:1"), true, true),
            (None, false, false),
        ];
        for (peer, secure, want) in table {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let connection = ConnectionInfo { peer, secure, ..Default::default() };
            assert_eq!(connection.is_private(), want, "{connection:?}");
            let access = |plaintext| NodeAccess::new(NodeAuth::None, plaintext);
            assert_eq!(access(false).gives_secrets(&connection), want, "{connection:?}");
            assert!(access(true).gives_secrets(&connection));
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let secret = NodeSecret::make(SecretKind::GroupKey);
        let credential = NodeCredential::read(
            &headers(&[&format!("Bearer {}", secret.expose())]),
            &Extensions::new(),
        );
        let shown = format!("{credential:?} {secret:?} {:?}", credential.token().unwrap());
        assert!(!shown.contains(&secret.expose()[4..]), "{shown}");
    }
}
