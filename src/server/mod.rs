//! Floor 6: the sockets, and what is served on them.

mod dashboard;
mod graphql;
mod http;
mod incoming;
mod reflection;
mod tls;
mod xds;

pub use self::http::HttpServer;
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
