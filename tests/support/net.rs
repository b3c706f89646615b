//! Witnesses on the host's side of the network, and names for one run.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::{Bed, host, is_root, tool};

/// A TCP listener of the host that greets with `HOST` and counts who came.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Listener {
    /// Listens on a free port of an address.
    ///
    /// # Errors
    /// When the address cannot be bound, as `::1` on a machine without IPv6.
    pub fn on(address: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                greet(stream);
            }
        });
        Ok(Self { address, accepted })
    }

    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::on("127.0.0.1").expect("a listener on loopback")
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections arrived.
    #[must_use]
    pub fn accepted(&self) -> usize {
        // What the kernel completed may not have been counted yet.
        std::thread::sleep(Duration::from_millis(50));
        self.accepted.load(Ordering::SeqCst)
    }
}

fn greet(mut stream: TcpStream) {
    // The peer may be gone already; it was counted.
    stream.write_all(b"HOST\n").ok();
}

/// A UDP socket of the host that counts what it was sent.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
}

impl Datagrams {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a datagram socket on loopback");
        socket.set_nonblocking(true).expect("a non-blocking socket");
        Self { socket }
    }

    /// The port.
    ///
    /// # Panics
    /// When the socket is broken.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("a bound socket").port()
    }

    /// How many datagrams are waiting; they are taken.
    #[must_use]
    pub fn received(&self) -> usize {
        std::thread::sleep(Duration::from_millis(50));
        let mut buffer = [0; 2048];
        std::iter::from_fn(|| self.socket.recv(&mut buffer).ok()).count()
    }
}

/// A Unix stream socket of the host that greets with `HOST` and counts who came.
#[derive(Debug)]
pub struct UnixWitness {
    accepted: Arc<AtomicUsize>,
}

impl UnixWitness {
    /// Listens on a path.
    ///
    /// # Panics
    /// When it cannot be bound.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self::serve(UnixListener::bind(path).expect("a socket at a path"))
    }

    /// Listens on an abstract name.
    ///
    /// # Panics
    /// When it cannot be bound.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let address = UnixAddress::from_abstract_name(name).expect("an abstract name");
        Self::serve(UnixListener::bind_addr(&address).expect("a socket with an abstract name"))
    }

    fn serve(listener: UnixListener) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HOST\n").ok();
            }
        });
        Self { accepted }
    }

    /// How many connections arrived.
    #[must_use]
    pub fn accepted(&self) -> usize {
        std::thread::sleep(Duration::from_millis(50));
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Words that put a private hosts file over `/etc/hosts` and execute what follows.
///
/// The tool's host side resolves with the host's resolver, so its view has to be prepared. Root
/// takes a mount namespace; anyone else one in a user namespace, where the tool runs nested.
///
/// # Panics
/// When the hosts file cannot be written.
#[must_use]
pub fn hosts_launcher(bed: &Bed, names: &[(&str, &str)]) -> Vec<OsString> {
    let lines: String = names
        .iter()
        .map(|(name, address)| format!("{address} {name}\n"))
        .collect();
    let path = bed.file(
        "hosts",
        format!("127.0.0.1 localhost\n::1 localhost\n{lines}"),
    );
    let line = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let mut words: Vec<OsString> = unshare_words();
    words.extend(["/bin/sh", "-c", line].map(OsString::from));
    words.push(path.into_os_string());
    words
}

/// Whether [`hosts_launcher`] works on this machine.
#[must_use]
pub fn names_can_be_set() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let Some(unshare) = tool("unshare") else {
            return false;
        };
        let option = if is_root() { "-m" } else { "-Urm" };
        host(
            &unshare,
            [
                option,
                "/bin/sh",
                "-c",
                "mount --bind /etc/hostname /etc/hosts",
            ],
        )
        .succeeded()
    })
}

fn unshare_words() -> Vec<OsString> {
    let unshare = tool("unshare").map_or_else(|| OsString::from("unshare"), Into::into);
    vec![
        unshare,
        OsString::from(if is_root() { "-m" } else { "-Urm" }),
    ]
}
