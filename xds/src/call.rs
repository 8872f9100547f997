//! What there is to know of a call before its first message.

use std::fmt;
use std::net::SocketAddr;

use tonic::transport::server::TcpConnectInfo;

/// A call, as the server and its metadata tell of it.
#[derive(Clone, Default)]
pub struct CallInfo {
    /// Where it comes from, if the server knows.
    pub peer: Option<SocketAddr>,
    /// Its metadata. Credentials are in there: do not log them.
    pub headers: http::HeaderMap,
    /// What the server knows of its connection, such as a client certificate.
    pub extensions: http::Extensions,
}

/// Without headers and extensions: there may be credentials in them.
impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallInfo").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl CallInfo {
    /// What is known by these. The server tells where the call comes from, if it
    /// does at all: tonic's own way, or else by an address.
    pub(crate) fn new(headers: http::HeaderMap, extensions: http::Extensions) -> Self {
        Self { peer: peer(&extensions), headers, extensions }
    }

    /// Takes a request apart.
    pub(crate) fn split<T>(request: tonic::Request<T>) -> (Self, T) {
        let (metadata, extensions, message) = request.into_parts();
        (Self::new(metadata.into_headers(), extensions), message)
    }
}

/// Where a call comes from, as the server tells it.
pub(crate) fn peer(extensions: &http::Extensions) -> Option<SocketAddr> {
    let tonics = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    tonics.or_else(|| extensions.get::<SocketAddr>().copied())
}
