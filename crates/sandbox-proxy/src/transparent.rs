//! The front end for programs that know nothing of proxies.
//!
//! The network namespace leads every connection to one listener, and the local address of an
//! accepted connection is where its program wanted to go: a synthetic address, which stands for the
//! name that was asked for, or an address that the program has from elsewhere, which is judged as
//! the literal that it is.
//!
//! The program's `connect` has succeeded by then, so a refusal is a reset, as from a host that
//! thinks better of it; the report says why. A name that the name service refused never gets here.
//!
//! The bytes of a connection could tell a name too (the server name of TLS, a `Host` field). They
//! would be read between the verdict and the tunnel, and handed to the latter as early bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use sandbox_policy::{Denial, DenialReason, Host, Port, Target};
use tokio::net::TcpStream;

use crate::{
    authorize::Connection,
    dns::NameService,
    event::{FrontEnd, Outcome},
    serve::Session,
    tunnel::{self, Leg},
};

/// Serves one connection.
pub(crate) async fn serve(session: Session, stream: TcpStream) {
    match stream.local_addr() {
        Ok(destination) => carry(session, stream, destination).await,
        Err(error) => {
            tracing::debug!(%error, "the destination of a connection is unknown");
            tunnel::reset(stream);
        }
    }
}

/// Carries a connection to where its program wanted it to go.
async fn carry(session: Session, stream: TcpStream, destination: SocketAddr) {
    let slot = session.slot.clone();
    tokio::select! {
        () = slot.closed() => {}
        () = connect(&session, stream, destination) => {}
    }
}

async fn connect(session: &Session, stream: TcpStream, destination: SocketAddr) {
    let shared = &session.shared;
    let target = match target(&shared.dns, destination) {
        Ok(target) => target,
        Err(denial) => {
            let denied = Outcome::Denied(denial);
            let literal = literal(destination);
            let front_end = FrontEnd::Transparent;
            shared
                .gate
                .report(session.client, front_end, literal, denied);
            return tunnel::reset(stream);
        }
    };
    let opened = shared
        .gate
        .open(
            session.client,
            FrontEnd::Transparent,
            target,
            &shared.config,
        )
        .await;
    let Ok(Connection {
        stream: upstream,
        lease,
    }) = opened
    else {
        return tunnel::reset(stream);
    };
    let client = Leg::new(stream, Bytes::new());
    let upstream = Leg::new(upstream, Bytes::new());
    let idle = shared.config.tunnel_idle_timeout;
    let revoked = lease.revoked(session, FrontEnd::Transparent);
    if let Err(error) = tunnel::relay(client, upstream, &shared.tunnels, idle, revoked).await {
        tracing::debug!(%error, %destination, "tunnel ended early");
    }
}

/// What the destination of a connection stands for.
fn target(dns: &NameService, destination: SocketAddr) -> Result<Target, Denial> {
    let address = destination.ip().to_canonical();
    let refused = |note: &str| Denial {
        note: Some(note.to_owned()),
        ..Denial::by_default(
            DenialReason::HostNotAllowed,
            SocketAddr::new(address, destination.port()).to_string(),
        )
    };
    // The namespace keeps its loopback to itself, so whoever gets here by it has addressed our own
    // listener, and would be led back to it by a rule for the host's loopback.
    if address.is_loopback() || address.is_unspecified() {
        return Err(refused("the sandbox's own listener"));
    }
    let port = Port::new(destination.port()).ok_or_else(|| refused("no port"))?;
    dns.meant(Target::new(Host::from_ip(address), port))
}

fn literal(destination: SocketAddr) -> Option<Target> {
    let port = Port::new(destination.port())?;
    Some(Target::new(Host::from_ip(destination.ip()), port))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::{IpAddr, Ipv4Addr},
        sync::Arc,
    };

    use sandbox_policy::{
        DomainPattern, DomainRule, HostName, NetworkPolicy, Origin as RuleOrigin, OwnAddresses,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        BoxFuture, Decide, Decision, ProxyConfig, Resolve,
        authorize::Gate,
        event::{EventReceiver, EventSink},
        proxy::Shared,
        serve::{Direction, Life, accept_loop},
        tunnel::Stock,
    };

    /// Every name leads to the host's loopback.
    struct ToLoopback;

    impl Resolve for ToLoopback {
        fn resolve<'a>(&'a self, _name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) })
        }
    }

    /// Approves this one target.
    struct Only(String);

    impl Decide for Only {
        fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision> {
            Box::pin(async {
                if target.to_string() == self.0 {
                    Decision::Approve
                } else {
                    Decision::Refuse(None)
                }
            })
        }
    }

    fn name(text: &str) -> HostName {
        match Host::parse(text.as_bytes()) {
            Ok(Host::Name(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    fn shared(allowed: &[&str], decider: Option<Arc<dyn Decide>>) -> (Arc<Shared>, EventReceiver) {
        let rules = allowed.iter().map(|text| DomainRule {
            pattern: DomainPattern::parse_allow(text).unwrap(),
            origin: RuleOrigin::Program,
            note: None,
        });
        let policy = Arc::new(NetworkPolicy::new(rules.collect(), Vec::new(), Vec::new()));
        let (sink, events) = EventSink::channel(64);
        let own = OwnAddresses(Vec::new()).into();
        let config = ProxyConfig::standard();
        let shared = Shared {
            gate: Gate::new(policy, own, Arc::new(ToLoopback), decider, sink),
            tunnels: Arc::new(Stock::new(config.copy_buffer_bytes)),
            life: Arc::new(Life::new(&config)),
            dns: NameService::new(),
            config,
        };
        (Arc::new(shared), events)
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A server that says the same backwards, once its client has said everything.
    async fn origin() -> u16 {
        let (listener, address) = listener().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut said = Vec::new();
                    stream.read_to_end(&mut said).await.unwrap();
                    said.reverse();
                    stream.write_all(&said).await.unwrap();
                });
            }
        });
        address.port()
    }

    /// What a program gets that connects to `destination` and says `abc`.
    async fn talk(shared: &Arc<Shared>, destination: SocketAddr) -> io::Result<Vec<u8>> {
        let (listener, address) = listener().await;
        let serving = accept_loop(
            Arc::clone(shared),
            Direction::Outbound,
            listener,
            move |session, stream| carry(session, stream, destination),
        );
        let serving = tokio::spawn(serving);
        #[expect(clippy::disallowed_methods, reason = "the client of the test")]
        let mut stream = TcpStream::connect(address).await?;
        let said = async {
            stream.write_all(b"abc").await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok(answer)
        }
        .await;
        serving.abort();
        said
    }

    fn assert_reset(answer: io::Result<Vec<u8>>) {
        let kind = answer
            .expect_err("a refused connection does not end in order")
            .kind();
        // The reset may overtake the client's first words, or their end.
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NotConnected
            ),
            "{kind}"
        );
    }

    #[tokio::test]
    async fn a_synthetic_address_leads_to_its_name_and_both_ends_close_on_their_own() {
        let port = origin().await;
        let (shared, mut events) = shared(&["ok.test", "127.0.0.1"], None);
        for address in shared.dns.assign(&name("ok.test")) {
            let answer = talk(&shared, SocketAddr::new(address, port)).await;
            assert_eq!(answer.unwrap(), b"cba", "{address}");
            let event = events.recv().await.unwrap();
            assert_eq!(event.front_end, FrontEnd::Transparent);
            assert_eq!(event.target.unwrap().to_string(), format!("ok.test:{port}"));
            assert!(matches!(event.outcome, Outcome::Allowed { rule: Some(_) }));
        }
    }

    #[tokio::test]
    async fn refused_and_unreachable_targets_end_in_a_reset() {
        let port = origin().await;
        let (closed, free) = listener().await;
        drop(closed);
        let allowed = ["ok.test:9", "gone.test", "127.0.0.1"];
        let (shared, mut events) = shared(&allowed, None);
        let synthetic = |text: &str| {
            let [address, _] = shared.dns.assign(&name(text));
            address
        };
        for (address, port, object) in [
            (synthetic("ok.test"), port, format!("ok.test:{port}")),
            (synthetic("other.test"), port, format!("other.test:{port}")),
            (
                "192.0.2.1".parse().unwrap(),
                port,
                format!("192.0.2.1:{port}"),
            ),
            (
                "2001:db8::1".parse().unwrap(),
                port,
                format!("[2001:db8::1]:{port}"),
            ),
            (
                "::ffff:192.0.2.1".parse().unwrap(),
                port,
                format!("192.0.2.1:{port}"),
            ),
            (
                "198.18.99.99".parse().unwrap(),
                port,
                format!("198.18.99.99:{port}"),
            ),
            (
                "198.19.255.254".parse().unwrap(),
                1,
                "198.19.255.254:1".to_owned(),
            ),
            // The list has it, but it is not the host's loopback that the program connected to.
            (
                Ipv4Addr::LOCALHOST.into(),
                port,
                format!("127.0.0.1:{port}"),
            ),
        ] {
            assert_reset(talk(&shared, SocketAddr::new(address, port)).await);
            let event = events.recv().await.unwrap();
            let Outcome::Denied(denial) = event.outcome else {
                panic!("{:?}", event.outcome);
            };
            assert_eq!(denial.object, object);
            assert_eq!(denial.reason, DenialReason::HostNotAllowed);
        }
        let gone = SocketAddr::new(synthetic("gone.test"), free.port());
        assert_reset(talk(&shared, gone).await);
        assert!(matches!(
            events.recv().await.unwrap().outcome,
            Outcome::Failed { .. }
        ));
    }

    #[tokio::test]
    async fn the_decider_is_asked_about_the_name_and_its_port() {
        let port = origin().await;
        let decider: Arc<dyn Decide> = Arc::new(Only(format!("asked.test:{port}")));
        let (shared, _events) = shared(&["127.0.0.1"], Some(decider));
        let [address, _] = shared.dns.assign(&name("asked.test"));
        let answer = talk(&shared, SocketAddr::new(address, port)).await;
        assert_eq!(answer.unwrap(), b"cba");
        assert_reset(talk(&shared, SocketAddr::new(address, 9)).await);
    }
}
