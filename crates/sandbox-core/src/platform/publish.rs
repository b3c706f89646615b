//! Published ports on the host's side: listeners on the loopback, and on no other address.

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream},
    sync::Arc,
};

use sandbox_linux::Entrance;
use sandbox_policy::{Port, PortMapping};
use sandbox_proxy::{Enter, Proxy};
use tokio::sync::mpsc;

use crate::{child::Serving, error::SpawnError};

/// A listener on the host.
#[derive(Debug)]
pub(super) struct Published {
    listener: TcpListener,
    inside: Port,
}

/// Listens for each mapping on both loopback addresses, as a client may take either for `localhost`.
pub(super) fn listen(mappings: &[PortMapping]) -> Result<Vec<Published>, SpawnError> {
    let mut listeners = Vec::with_capacity(mappings.len() * 2);
    for &PortMapping { outside, inside } in mappings {
        let v4 = IpAddr::from(Ipv4Addr::LOCALHOST);
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        for address in [v4, v6] {
            match bind(address, outside) {
                Ok(listener) => listeners.push(Published { listener, inside }),
                Err(source) if address == v6 && is_missing(&source) => {}
                Err(source) => {
                    let port = outside.get();
                    return Err(SpawnError::Publish {
                        port,
                        address,
                        source,
                    });
                }
            }
        }
    }
    Ok(listeners)
}

/// Has the proxy lead what arrives to the servers inside, until the command ends.
pub(super) fn serve(
    published: Vec<Published>,
    entrance: Entrance,
    proxy: &Proxy,
    serving: &mut Serving,
) -> io::Result<()> {
    let entrance: Arc<dyn Enter> = Arc::new(Entered {
        entrance,
        _open: serving.track_inbound(),
    });
    for Published { listener, inside } in published {
        serving.close_at_end(listener.try_clone()?);
        let listener = super::linux::listener(listener)?;
        serving.start(proxy.serve_published(listener, Arc::clone(&entrance), inside));
    }
    Ok(())
}

/// The way into a sandbox, as the proxy takes it.
struct Entered {
    entrance: Entrance,
    /// Dropped with the last connection that came in.
    _open: mpsc::Sender<Infallible>,
}

impl Enter for Entered {
    fn socket(&self, for_address: IpAddr) -> io::Result<TcpStream> {
        self.entrance.socket(for_address)
    }
}

fn bind(address: IpAddr, port: Port) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((address, port.get()))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether the host has no such address: it runs without IPv6.
fn is_missing(error: &io::Error) -> bool {
    // The standard library has no kind for EAFNOSUPPORT.
    let unsupported = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(unsupported)
}
