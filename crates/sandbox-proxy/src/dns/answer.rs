//! Answers to queries: bytes in, bytes out.
//!
//! | question | answer |
//! |---|---|
//! | A, AAAA, ANY of a name that may be permitted | its synthetic addresses |
//! | `localhost` and names below it | loopback, always (RFC 6761 §6.3) |
//! | PTR of a synthetic or loopback address | its name |
//! | PTR of another address | NXDOMAIN |
//! | MX, TXT, HTTPS and the like of a name that the policy lists | what name servers say (`forward`) |
//! | any other type of a name that may be permitted | no data |
//! | a name that the policy refuses, or that is no host name | NXDOMAIN, and a denial |
//!
//! Nothing is looked up here: whether a permitted name exists shows when it is connected to, and
//! what name servers are to be asked is handed out as a [`Pending`] answer. A name that only a
//! decider could permit is not asked for: the name alone can carry what must not leave.
//! `localhost` is the sandbox's own loopback whatever the policy lists; the host's one is reached
//! through the proxies.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hickory_proto::{
    op::{Edns, Message, Metadata, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR, SOA},
    },
    serialize::binary::BinEncodable,
};
use sandbox_policy::{Denial, DenialReason, Host, HostName};

use super::{
    forward,
    names::NameTable,
    query::{Request, RequestError},
    synthetic::{Meaning, meaning},
};
use crate::authorize::{Lookup, malformed_host};

/// What becomes of a query.
#[derive(Debug)]
pub(super) enum Reply {
    /// It is answered at once.
    Ready(Answer),
    /// Name servers are to be asked first.
    Pending(Box<Pending>),
}

/// What carries a message, and so how long one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Stream,
}

/// What a query is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Why the name was refused.
    pub(super) denial: Option<Denial>,
}

/// An answer that waits for what name servers say.
#[derive(Debug)]
pub(super) struct Pending {
    reply: Message,
    question: Query,
    /// Whether the name has addresses here, and so exists.
    has_addresses: bool,
    limit: usize,
}

/// Answers a message; `None` where silence is the answer.
pub(super) fn answer(
    message: &[u8],
    transport: Transport,
    names: &NameTable,
    judge: impl Fn(&HostName) -> Result<Lookup, Denial>,
) -> Option<Reply> {
    let ready = |reply: &Message, limit, denial| {
        encoded(reply, limit).map(|bytes| Reply::Ready(Answer { bytes, denial }))
    };
    let request = match Request::decode(message) {
        Ok(request) => request,
        Err(RequestError::Unanswerable) => return None,
        Err(RequestError::Refused(metadata, code)) => {
            return ready(&response(&metadata, code), SHORTEST_LIMIT, None);
        }
    };
    let limit = transport.limit(request.edns.as_ref());
    let mut reply = response(&request.metadata, ResponseCode::NoError);
    reply.queries.push(request.query.clone());
    if let Some(edns) = &request.edns {
        reply.set_edns(options(edns));
        if edns.version() > EDNS_VERSION {
            reply.metadata.response_code = ResponseCode::BADVERS;
            return ready(&reply, limit, None);
        }
    }
    if !matches!(request.query.query_class(), DNSClass::IN | DNSClass::ANY) {
        reply.metadata.response_code = ResponseCode::Refused;
        return ready(&reply, limit, None);
    }
    let content = content(&request.query, names, judge);
    let denial = match content {
        Content::Records(records) => {
            reply.answers = records;
            None
        }
        Content::NoSuchName(denial) => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            denial
        }
        Content::Elsewhere { has_addresses } => {
            return Some(Reply::Pending(Box::new(Pending {
                reply,
                question: request.query,
                has_addresses,
                limit,
            })));
        }
    };
    if reply.answers.is_empty() {
        reply.authorities.push(negative());
    }
    ready(&reply, limit, denial)
}

impl Pending {
    /// The name that the question is about.
    pub(super) fn name(&self) -> Option<HostName> {
        host_name(self.question.name()).ok()
    }

    /// The query for name servers.
    pub(super) fn query(&self) -> io::Result<Vec<u8>> {
        forward::query(&self.question)
    }

    /// The answer, when name servers have said something, or nothing in time.
    pub(super) fn finish(self, said: io::Result<Vec<u8>>) -> Option<Vec<u8>> {
        let mut reply = self.reply;
        let wanted = self.question.query_type();
        let code = match said.and_then(|answer| forward::told(&answer, wanted)) {
            Ok((ResponseCode::NoError, records)) => {
                reply.answers = records;
                ResponseCode::NoError
            }
            // A resolver that has heard so would not ask for the addresses that there are.
            Ok((ResponseCode::NXDomain, _)) if self.has_addresses => ResponseCode::NoError,
            Ok((ResponseCode::NXDomain, _)) => ResponseCode::NXDomain,
            Ok(_) => ResponseCode::ServFail,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => ResponseCode::NoError,
            Err(error) => {
                tracing::debug!(%error, question = %self.question, "no name server answers");
                ResponseCode::ServFail
            }
        };
        reply.metadata.response_code = code;
        if reply.answers.is_empty() && code != ResponseCode::ServFail {
            reply.authorities.push(negative());
        }
        encoded(&reply, self.limit)
    }

    /// The answer where nobody is asked.
    pub(super) fn give_up(self) -> Option<Vec<u8>> {
        self.finish(Err(io::ErrorKind::ResourceBusy.into()))
    }
}

impl Transport {
    /// The longest message, in bytes: over UDP what the client says (RFC 6891 §6.2.3).
    fn limit(self, edns: Option<&Edns>) -> usize {
        match (self, edns) {
            (Self::Stream, _) => usize::from(u16::MAX),
            (Self::Datagram, None) => SHORTEST_LIMIT,
            (Self::Datagram, Some(edns)) => usize::from(edns.max_payload()).max(SHORTEST_LIMIT),
        }
    }
}

/// What there is to say on a question.
enum Content {
    /// The name exists; without records of the type that was asked for, this is "no data".
    Records(Vec<Record>),
    NoSuchName(Option<Denial>),
    /// Name servers know.
    Elsewhere {
        has_addresses: bool,
    },
}

fn content(
    query: &Query,
    names: &NameTable,
    judge: impl Fn(&HostName) -> Result<Lookup, Denial>,
) -> Content {
    let owner = query.name();
    let wanted = query.query_type();
    if wanted == RecordType::PTR
        && let Ok(range) = owner.parse_arpa_name()
    {
        let name = (range.prefix_len() == range.max_prefix_len())
            .then(|| reverse(range.addr(), names))
            .flatten();
        return match name {
            Some(name) => Content::Records(vec![record(owner, RData::PTR(PTR(name)))]),
            None => Content::NoSuchName(None),
        };
    }
    let name = match host_name(owner) {
        Ok(name) => name,
        Err(denial) => return Content::NoSuchName(Some(denial)),
    };
    let (v4, v6) = if Host::Name(name.clone()).is_localhost() {
        (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
    } else {
        let verdict = judge(&name);
        if forward::is_forwarded(wanted)
            && let Some(has_addresses) = is_listed(&name, &verdict, judge)
        {
            return Content::Elsewhere { has_addresses };
        }
        if let Err(denial) = verdict {
            return Content::NoSuchName(Some(denial));
        }
        if !is_address_type(wanted) {
            return Content::Records(Vec::new());
        }
        let Some(index) = names.assign(&name) else {
            return Content::NoSuchName(None);
        };
        (index.v4(), index.v6())
    };
    let mut records = Vec::new();
    if matches!(wanted, RecordType::A | RecordType::ANY) {
        records.push(record(owner, RData::A(A(v4))));
    }
    if matches!(wanted, RecordType::AAAA | RecordType::ANY) {
        records.push(record(owner, RData::AAAA(AAAA(v6))));
    }
    Content::Records(records)
}

/// Whether name servers may be asked about a name: if it is listed, or about a service of a host
/// that is. The former has addresses. A rule that refuses the name or the host stands.
fn is_listed(
    name: &HostName,
    verdict: &Result<Lookup, Denial>,
    judge: impl Fn(&HostName) -> Result<Lookup, Denial>,
) -> Option<bool> {
    let is_refused = |verdict: &Result<Lookup, Denial>| matches!(verdict, Err(denial) if denial.reason == DenialReason::HostDenied);
    let is_listed = |verdict: &Result<Lookup, Denial>| matches!(verdict, Ok(Lookup::Listed));
    let host = forward::host_of_service(name).map(|host| judge(&host));
    if is_refused(verdict) || host.as_ref().is_some_and(is_refused) {
        return None;
    }
    if is_listed(verdict) {
        return Some(true);
    }
    host.as_ref().is_some_and(is_listed).then_some(false)
}

fn is_address_type(wanted: RecordType) -> bool {
    matches!(wanted, RecordType::A | RecordType::AAAA | RecordType::ANY)
}

/// The host name that a name on the wire is, whose labels may hold any byte.
fn host_name(name: &Name) -> Result<HostName, Denial> {
    let labels: Vec<&[u8]> = name.iter().collect();
    let text = labels.join(&b'.');
    // A dot inside a label would make another name of it.
    if labels.iter().any(|label| label.contains(&b'.')) {
        return Err(malformed_host(&text));
    }
    match Host::parse(&text) {
        Ok(Host::Name(name)) => Ok(name),
        // Whoever asks for the address of an address has mistaken it for a name.
        Ok(Host::Ip(_)) | Err(_) => Err(malformed_host(&text)),
    }
}

/// The name of an address.
fn reverse(address: IpAddr, names: &NameTable) -> Option<Name> {
    if address.is_loopback() {
        return Name::from_ascii("localhost.").ok();
    }
    let Meaning::Name(index) = meaning(address) else {
        return None;
    };
    let name = names.name(index)?;
    let mut name = Name::from_ascii(name.as_str()).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The record has the name as it was asked, letter case included: some resolvers take it as a
/// proof that the answer is no forgery.
fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), TIME_TO_LIVE, data)
}

/// The SOA record that lets resolvers keep a negative answer (RFC 2308 §3), for a short while: the
/// policy may be replaced.
fn negative() -> Record {
    let soa = SOA::new(
        Name::root(),
        Name::root(),
        1,
        NEGATIVE_TIMER,
        NEGATIVE_TIMER,
        NEGATIVE_TIMER,
        NEGATIVE_TIME_TO_LIVE,
    );
    Record::from_rdata(Name::root(), NEGATIVE_TIME_TO_LIVE, RData::SOA(soa))
}

fn response(request: &Metadata, code: ResponseCode) -> Message {
    let mut reply = Message::response(request.id, request.op_code);
    reply.metadata = Metadata::response_from_request(request);
    reply.metadata.recursion_available = true;
    reply.metadata.response_code = code;
    reply
}

fn options(request: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_version(EDNS_VERSION);
    edns.set_max_payload(MAX_PAYLOAD);
    edns.set_dnssec_ok(request.flags().dnssec_ok);
    edns
}

/// The message in bytes; one that is too long tells the client to ask over TCP.
fn encoded(reply: &Message, limit: usize) -> Option<Vec<u8>> {
    let bytes = reply.to_bytes().and_then(|bytes| {
        if bytes.len() > limit {
            reply.truncate().to_bytes()
        } else {
            Ok(bytes)
        }
    });
    match bytes {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::warn!(%error, "cannot encode a name service answer");
            None
        }
    }
}

/// Seconds for which programs may keep an address. The table keeps it for longer.
const TIME_TO_LIVE: u32 = 60;
const NEGATIVE_TIME_TO_LIVE: u32 = 5;
const NEGATIVE_TIMER: i32 = 5;
const EDNS_VERSION: u8 = 0;
/// What queries may be as long as; the size that the internet's name servers agreed on.
const MAX_PAYLOAD: u16 = 1232;
/// The longest message over UDP where nothing else was agreed on (RFC 1035 §2.3.4).
const SHORTEST_LIMIT: usize = 512;
