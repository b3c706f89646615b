//! DNS over TCP (RFC 7766): messages behind two bytes of length, answered in order.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time,
};

use super::{
    LONGEST_QUERY,
    answer::{Reply, Transport},
};
use crate::serve::Session;

/// Serves one connection until the client leaves, stops asking, or sends something else.
pub(crate) async fn serve(session: Session, stream: TcpStream) {
    let slot = session.slot.clone();
    let mut stream = BufReader::new(stream);
    tokio::select! {
        () = slot.draining() => {}
        ended = converse(&session, &mut stream) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "name service connection ended early");
            }
        }
    }
}

async fn converse(session: &Session, stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    let shared = &session.shared;
    let mut query = Vec::new();
    while time::timeout(IDLE_TIMEOUT, receive(stream, &mut query)).await?? {
        let reply = shared
            .dns
            .answer(&query, Transport::Stream, &shared.gate, session.client);
        let answer = match reply {
            Some(Reply::Ready(answer)) => Some(answer.bytes),
            Some(Reply::Pending(pending)) => super::complete(pending, shared).await,
            None => None,
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        // One write, so that both parts leave in one segment.
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        time::timeout(IDLE_TIMEOUT, stream.get_mut().write_all(&framed)).await??;
    }
    Ok(())
}

/// Reads a message; `false` at the end of the connection.
async fn receive(stream: &mut BufReader<TcpStream>, query: &mut Vec<u8>) -> io::Result<bool> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error),
    };
    if length > LONGEST_QUERY {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the query is longer than a name can make it",
        ));
    }
    query.resize(length, 0);
    stream.read_exact(query).await?;
    Ok(true)
}

/// How long a client may keep a connection, which is a place of the proxy's, without a query.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
