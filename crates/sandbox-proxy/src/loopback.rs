//! Sockets whose other end is on the same machine.

use tokio::net::TcpStream;

/// Has the kernel send as fast as the other end reads.
///
/// A host may have chosen a congestion control that paces what it sends by what it believes of the
/// path (BBR). On loopback there is no path: each relayed stream would be slowed down once more.
/// Reno is in every kernel and open to everybody; without losses it does nothing.
#[cfg(target_os = "linux")]
pub(crate) fn unpace(stream: &TcpStream) {
    if let Err(error) = rustix::net::sockopt::set_tcp_congestion(stream, "reno") {
        tracing::trace!(%error, "a local connection keeps the host's congestion control");
    }
}

/// Other systems have no pacing that a socket could be freed from.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unpace(_stream: &TcpStream) {}
