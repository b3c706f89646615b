//! Answers to queries: bytes in, bytes out.
//!
//! | question | answer |
//! |---|---|
//! | A, AAAA, ANY of a name that may be permitted | its synthetic addresses |
//! | `localhost` and names below it | loopback, always (RFC 6761 §6.3) |
//! | PTR of a synthetic or loopback address | its name |
//! | PTR of another address | NXDOMAIN |
//! | any other type of such a name | no data |
//! | a name that the policy refuses, or that is no host name | NXDOMAIN, and a denial |
//!
//! Nothing is ever looked up here: whether a permitted name exists shows when it is connected to.
//! `localhost` is the sandbox's own loopback whatever the policy lists; the host's one is reached
//! through the proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    op::{Edns, Message, Metadata, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR, SOA},
    },
    serialize::binary::BinEncodable,
};
use sandbox_policy::{Denial, Host, HostName};

use super::{
    names::NameTable,
    query::{Request, RequestError},
    synthetic::{Meaning, meaning},
};
use crate::authorize::malformed_host;

/// What a query is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Why the name was refused.
    pub(super) denial: Option<Denial>,
}

/// Answers a message; `None` where silence is the answer.
pub(super) fn answer(
    message: &[u8],
    names: &NameTable,
    judge: impl Fn(&HostName) -> Result<(), Denial>,
) -> Option<Answer> {
    let request = match Request::decode(message) {
        Ok(request) => request,
        Err(RequestError::Unanswerable) => return None,
        Err(RequestError::Refused(metadata, code)) => {
            return encoded(&response(&metadata, code), None);
        }
    };
    let mut reply = response(&request.metadata, ResponseCode::NoError);
    reply.queries.push(request.query.clone());
    if let Some(edns) = &request.edns {
        reply.set_edns(options(edns));
        if edns.version() > EDNS_VERSION {
            reply.metadata.response_code = ResponseCode::BADVERS;
            return encoded(&reply, None);
        }
    }
    if !matches!(request.query.query_class(), DNSClass::IN | DNSClass::ANY) {
        reply.metadata.response_code = ResponseCode::Refused;
        return encoded(&reply, None);
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
    };
    if reply.answers.is_empty() {
        reply.authorities.push(negative());
    }
    encoded(&reply, denial)
}

/// What there is to say on a question.
enum Content {
    /// The name exists; without records of the type that was asked for, this is "no data".
    Records(Vec<Record>),
    NoSuchName(Option<Denial>),
}

fn content(
    query: &Query,
    names: &NameTable,
    judge: impl Fn(&HostName) -> Result<(), Denial>,
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
        if let Err(denial) = judge(&name) {
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

fn encoded(reply: &Message, denial: Option<Denial>) -> Option<Answer> {
    match reply.to_bytes() {
        Ok(bytes) => Some(Answer { bytes, denial }),
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
/// The size that the internet's name servers agreed on; no answer of ours comes near it.
const MAX_PAYLOAD: u16 = 1232;
