//! Queries to the host's name servers, for records that `getaddrinfo` knows nothing of.
//!
//! The servers of resolv.conf(5) are asked in order, over UDP, and over TCP where an answer is cut
//! short. The file is read for each query: it is small, and laptops change networks.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hickory_proto::{
    op::{Header, MessageType, Query, ResponseCode},
    serialize::binary::{BinDecodable as _, BinDecoder},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time,
};

/// What the name servers of the host answer to a query.
///
/// Whoever waits sets the deadline: here it goes round until a server has answered.
pub(super) async fn exchange(query: &[u8]) -> io::Result<Vec<u8>> {
    let servers = listed(&fs::read_to_string(RESOLV_CONF)?);
    ask_all(&servers, query).await
}

async fn ask_all(servers: &[SocketAddr], query: &[u8]) -> io::Result<Vec<u8>> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host lists no name server");
    let mut refusal = None;
    for _ in 0..ROUNDS {
        for server in servers {
            let attempt = time::timeout(ATTEMPT, ask(*server, query)).await;
            match attempt.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
                Ok((answer, ResponseCode::NoError | ResponseCode::NXDomain)) => return Ok(answer),
                // Another server may do better; if none does, this is the answer.
                Ok((answer, _)) => refusal = Some(answer),
                Err(error) => failure = error,
            }
        }
        if let Some(answer) = refusal.take() {
            return Ok(answer);
        }
        // An answer that got lost is asked for again; a server that is not there stays away.
        if failure.kind() != io::ErrorKind::TimedOut {
            break;
        }
    }
    Err(failure)
}

/// Asks one server.
async fn ask(server: SocketAddr, query: &[u8]) -> io::Result<(Vec<u8>, ResponseCode)> {
    let query = with_new_id(query)?;
    // A port of its own for each query, connected: only this server's datagrams arrive.
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut datagram = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut datagram).await?;
        let answer = datagram.get(..length).unwrap_or_default();
        // A forgery, or an answer to nobody: the true one may still come.
        let Some(header) = answering(answer, &query) else {
            continue;
        };
        if header.metadata.truncation {
            return ask_by_tcp(server, &query).await;
        }
        return Ok((answer.to_vec(), header.metadata.response_code));
    }
}

async fn ask_by_tcp(server: SocketAddr, query: &[u8]) -> io::Result<(Vec<u8>, ResponseCode)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a name server of the host's, which no policy names"
    )]
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], query].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let header = answering(&answer, query).ok_or(io::ErrorKind::InvalidData)?;
    Ok((answer, header.metadata.response_code))
}

/// The header of a message, if that answers the query.
fn answering(message: &[u8], query: &[u8]) -> Option<Header> {
    let read = |bytes: &[u8]| {
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).ok()?;
        let question = Query::read(&mut decoder).ok()?;
        Some((header, question))
    };
    let ((header, question), (asked, expected)) = (read(message)?, read(query)?);
    let answers = header.metadata.message_type == MessageType::Response
        && header.metadata.id == asked.metadata.id
        && question == expected;
    answers.then_some(header)
}

/// The query with an id that nobody can guess.
fn with_new_id(query: &[u8]) -> io::Result<Vec<u8>> {
    let (_, rest) = query
        .split_at_checked(2)
        .ok_or(io::ErrorKind::InvalidInput)?;
    // A keyed hash of a counter; the standard library has the key from the operating system.
    static QUERIES: AtomicU64 = AtomicU64::new(0);
    let number = QUERIES.fetch_add(1, Ordering::Relaxed);
    let [first, second, ..] = RandomState::new().hash_one(number).to_ne_bytes();
    Ok([&[first, second], rest].concat())
}

/// The name servers of a `resolv.conf`; as for other readers of the file, the host itself where it
/// lists none. One that is named by an interface too (`fe80::1%eth0`) is passed over.
fn listed(text: &str) -> Vec<SocketAddr> {
    let servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            let address: IpAddr = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address, PORT))
        })
        .take(MOST_SERVERS)
        .collect();
    if servers.is_empty() {
        return vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))];
    }
    servers
}

const RESOLV_CONF: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// As many as the C library asks (`MAXNS` of resolv.h).
const MOST_SERVERS: usize = 3;
/// How often an answer that does not come is asked for.
const ROUNDS: usize = 2;
/// How long one server may take.
const ATTEMPT: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Message, OpCode},
        rr::{Name, RData, Record, RecordType, rdata::TXT},
        serialize::binary::BinEncodable as _,
    };
    use tokio::net::TcpListener;

    use super::*;

    fn query() -> Vec<u8> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii("ok.test.").unwrap();
        message.add_query(Query::query(name, RecordType::TXT));
        message.to_bytes().unwrap()
    }

    fn reply(query: &[u8], text: &str) -> Message {
        let query = Message::from_bytes(query).unwrap();
        let mut reply = Message::response(query.metadata.id, OpCode::Query);
        reply.add_query(query.queries[0].clone());
        let text = TXT::new(vec![text.to_owned()]);
        let name = query.queries[0].name().clone();
        reply.add_answer(Record::from_rdata(name, 1, RData::TXT(text)));
        reply
    }

    async fn socket() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn text_of(answer: &[u8]) -> String {
        let message = Message::from_bytes(answer).unwrap();
        message.answers[0].data.to_string()
    }

    #[test]
    fn servers_are_read_as_other_readers_read_them() {
        let text = "# nameserver 192.0.2.9\nsearch a.test\nnameserver 192.0.2.1\nnameserver\t2001:db8::1  # x\n\
                    nameserver fe80::1%eth0\nnameserver nonsense\noptions ndots:3\nnameservers 192.0.2.7\n\
                    nameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let found: Vec<String> = listed(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"]);
        assert_eq!(listed("")[0].to_string(), "127.0.0.1:53");
    }

    #[tokio::test]
    async fn only_the_answer_to_the_question_counts() {
        let (server, address) = socket().await;
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
            let asked = &buffer[..length];
            let mut other_id = reply(asked, "id");
            other_id.metadata.id ^= 1;
            let mut other_name = reply(asked, "name");
            other_name.queries[0].set_name(Name::from_ascii("no.test.").unwrap());
            let mut no_answer = reply(asked, "query");
            no_answer.metadata.message_type = MessageType::Query;
            for message in [other_id, other_name, no_answer, reply(asked, "true")] {
                let bytes = message.to_bytes().unwrap();
                server.send_to(&bytes, peer).await.unwrap();
            }
            server.send_to(b"short", peer).await.unwrap();
        });
        let answer = ask_all(&[address], &query()).await.unwrap();
        assert_eq!(text_of(&answer), "true");
    }

    #[tokio::test]
    async fn a_refusal_or_silence_leads_to_the_next_server_and_truncation_to_tcp() {
        let (gone, absent) = socket().await;
        drop(gone);
        let (refusing, refuses) = socket().await;
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = refusing.recv_from(&mut buffer).await {
                let mut message = reply(&buffer[..length], "no");
                message.answers.clear();
                message.metadata.response_code = ResponseCode::Refused;
                let bytes = message.to_bytes().unwrap();
                refusing.send_to(&bytes, peer).await.unwrap();
            }
        });
        let (server, address) = socket().await;
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
            let mut short = reply(&buffer[..length], "short");
            short.answers.clear();
            short.metadata.truncation = true;
            let bytes = short.to_bytes().unwrap();
            server.send_to(&bytes, peer).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut asked).await.unwrap();
            let bytes = reply(&asked, "whole").to_bytes().unwrap();
            stream
                .write_u16(u16::try_from(bytes.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        let answer = ask_all(&[absent, refuses, address], &query())
            .await
            .unwrap();
        assert_eq!(text_of(&answer), "whole");
        // Where no server does better, the refusal is what is told.
        let answer = ask_all(&[absent, refuses], &query()).await.unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        let error = ask_all(&[absent], &query()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn ids_are_not_counted_up() {
        let ids: Vec<_> = (0..8)
            .map(|_| with_new_id(&query()).unwrap()[..2].to_vec())
            .collect();
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert!(distinct.len() >= 6, "{ids:?}");
    }
}
