//! SOCKS5 sessions: greeting, optional credentials, one request, tunnel.
//!
//! Everybody who reaches the listener is the sandbox, so no method asks for a secret; credentials of
//! clients that insist on sending some are read and ignored. SOCKS4 and other protocols are closed
//! without an answer: they could not understand one.

mod message;
mod ssh;

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use sandbox_policy::{Denial, Host, Port, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use crate::{
    authorize::{Connection, OpenError, malformed_host},
    event::{FrontEnd, Outcome},
    serve::Session,
    tunnel::{self, Leg},
};

use message::{
    Address, Command, Credentials, DecodeError, Greeting, METHOD_PASSWORD, METHOD_UNACCEPTABLE,
    PASSWORD_VERSION, Reply, Request, VERSION,
};

/// Why a session ended before its tunnel.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the client took too long")]
    TimedOut,
    #[error("the client left")]
    Closed,
    #[error("the client offers no method that is served")]
    NoMethod,
    #[error("the client sent something else")]
    Decode(#[source] DecodeError),
    #[error("cannot exchange messages with the client")]
    Io(#[from] io::Error),
}

/// Serves one connection.
pub(crate) async fn serve(session: Session, stream: TcpStream) {
    let slot = session.slot.clone();
    tokio::select! {
        () = slot.closed() => {}
        ended = converse(session, stream) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "socks session ended early");
            }
        }
    }
}

async fn converse(session: Session, stream: TcpStream) -> Result<(), HandshakeError> {
    let shared = &session.shared;
    let mut exchange = Exchange {
        stream,
        received: BytesMut::new(),
    };
    let handshake = time::timeout(shared.config.handshake_timeout, exchange.handshake());
    let request = handshake.await.unwrap_or(Err(HandshakeError::TimedOut));
    let request = match request {
        Ok(request) => request,
        Err(HandshakeError::Decode(DecodeError::AddressType)) => {
            let reply = Reply::AddressTypeNotSupported.bytes();
            return exchange.refuse(&reply).await;
        }
        Err(error) => return Err(error),
    };
    let Connection {
        stream: upstream,
        lease,
    } = match connect(&session, &request).await {
        Ok(connection) => connection,
        Err(refusal) => return exchange.refuse(&refusal.bytes()).await,
    };
    exchange.send(&Reply::Succeeded.bytes()).await?;
    let client = Leg::new(exchange.stream, exchange.received.freeze());
    let upstream = Leg::new(upstream, Bytes::new());
    let idle = shared.config.tunnel_idle_timeout;
    let revoked = lease.revoked(&session, FrontEnd::Socks5);
    tunnel::relay(client, upstream, &shared.tunnels, idle, revoked).await?;
    Ok(())
}

/// How a request is refused.
enum Refusal {
    Reply(Reply),
    /// As a server that says why: see [`ssh`].
    Ssh(Box<Denial>),
}

impl Refusal {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Reply(reply) => reply.bytes().to_vec(),
            Self::Ssh(denial) => [&Reply::Succeeded.bytes()[..], &ssh::farewell(denial)].concat(),
        }
    }
}

/// Has the request judged and carried out.
async fn connect(session: &Session, request: &Request) -> Result<Connection, Refusal> {
    let gate = &session.shared.gate;
    if request.command == Command::Other {
        return Err(Refusal::Reply(Reply::CommandNotSupported));
    }
    let host = match &request.address {
        Address::Ip(address) => Host::from_ip(*address),
        Address::Name(name) => Host::parse(name).map_err(|_not_a_host| {
            let denial = malformed_host(name);
            gate.report(
                session.client,
                FrontEnd::Socks5,
                None,
                Outcome::Denied(denial),
            );
            Refusal::Reply(Reply::NotAllowed)
        })?,
    };
    let port = Port::new(request.port).ok_or(Refusal::Reply(Reply::GeneralFailure))?;
    let target = Target { host, port };
    let target = match session.shared.dns.meant(target.clone()) {
        Ok(target) => target,
        Err(denial) => {
            let refused = gate.refuse(session.client, FrontEnd::Socks5, target, denial);
            return Err(refusal_of(refused, port));
        }
    };
    gate.open(
        session.client,
        FrontEnd::Socks5,
        target,
        &session.shared.config,
    )
    .await
    .map_err(|error| refusal_of(error, port))
}

/// The answer for each way to fail.
fn refusal_of(error: OpenError, port: Port) -> Refusal {
    let reply = match error {
        OpenError::Denied(denial) | OpenError::AddressDenied(denial) if ssh::speaks_ssh(port) => {
            return Refusal::Ssh(Box::new(denial));
        }
        OpenError::Denied(_) | OpenError::AddressDenied(_) => Reply::NotAllowed,
        OpenError::Resolve { .. } => Reply::HostUnreachable,
        OpenError::Connect(error) if error.source.kind() == io::ErrorKind::ConnectionRefused => {
            Reply::ConnectionRefused
        }
        OpenError::Connect(error) if error.source.kind() == io::ErrorKind::NetworkUnreachable => {
            Reply::NetworkUnreachable
        }
        OpenError::Connect(_) => Reply::HostUnreachable,
    };
    Refusal::Reply(reply)
}

/// The socket with what was read from it and not yet understood.
struct Exchange {
    stream: TcpStream,
    received: BytesMut,
}

impl Exchange {
    async fn handshake(&mut self) -> Result<Request, HandshakeError> {
        let greeting: Greeting = self.receive(|input| Greeting::try_from(input)).await?;
        let Some(method) = greeting.choose() else {
            self.send(&[VERSION, METHOD_UNACCEPTABLE]).await?;
            return Err(HandshakeError::NoMethod);
        };
        self.send(&[VERSION, method]).await?;
        if method == METHOD_PASSWORD {
            self.receive(|input| Credentials::try_from(input)).await?;
            self.send(&[PASSWORD_VERSION, 0]).await?;
        }
        self.receive(|input| Request::try_from(input)).await
    }

    async fn receive<T>(
        &mut self,
        decode: impl Fn(&mut &[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, HandshakeError> {
        loop {
            let mut rest: &[u8] = &self.received;
            match decode(&mut rest) {
                Ok(message) => {
                    let used = self.received.len() - rest.len();
                    drop(self.received.split_to(used));
                    return Ok(message);
                }
                Err(DecodeError::Incomplete) => {}
                Err(error) => return Err(HandshakeError::Decode(error)),
            }
            // The longest message has 513 bytes, so the buffer stays small.
            self.received.reserve(LONGEST_MESSAGE);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(HandshakeError::Closed);
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends a refusal so that it arrives: closing at once, with bytes unread, would make the kernel
    /// reset the connection and the client lose the reply.
    async fn refuse(mut self, answer: &[u8]) -> Result<(), HandshakeError> {
        self.send(answer).await?;
        self.stream.shutdown().await?;
        let mut scrap = [0; 512];
        let drain = async { while matches!(self.stream.read(&mut scrap).await, Ok(1..)) {} };
        // Whether the client closed in time does not matter any more.
        drop(time::timeout(LINGER, drain).await);
        Ok(())
    }
}

const LONGEST_MESSAGE: usize = 520;
const LINGER: Duration = Duration::from_secs(1);
