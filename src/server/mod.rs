//! Floor 6: the sockets, and what is served on them.

mod address;
mod dashboard;
mod docs;
mod graphql;
mod headers;
mod http;
mod incoming;
mod internal;
mod limits;
mod metrics;
mod origin;
mod reflection;
mod requests;
mod tls;
mod xds;

pub use self::address::{NetworkError, TrustedProxies};
pub use self::graphql::{Documents, GraphqlSettings};
pub use self::headers::{Origins, OriginsError};
pub use self::http::{HttpServer, HttpSettings};
pub use self::internal::{Entry, InternalAccess, InternalServer};
pub use self::limits::Limits;
pub use self::tls::{Tls, TlsFiles};
pub use self::xds::XdsServer;

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted: a whole fleet comes back at
/// once when the server restarts.
const BACKLOG: u32 = 4096;

/// Binds `address` now, so that a taken port is an error before anything runs.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
