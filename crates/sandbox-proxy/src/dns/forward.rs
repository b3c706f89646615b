//! Questions that are not about addresses, of names that the policy lists: they go to the host's
//! name servers, and what comes back is told without anything that leads around the transparent path.
//!
//! The answer section alone is passed on, and of it only records of the type that was asked for and
//! the aliases on the way to them. Addresses of servers stand in additional sections and in hints of
//! HTTPS records (RFC 9460 §7.3); a program that connected to one would arrive with an address
//! where the policy has a name, and be refused.

use std::io;

use hickory_proto::{
    op::{Edns, Header, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, RData, Record, RecordType,
        rdata::{
            HTTPS, SVCB,
            svcb::{Mandatory, SvcParamKey, SvcParamValue},
        },
    },
    serialize::binary::{BinDecodable as _, BinDecoder, BinEncodable as _},
};
use sandbox_policy::{Host, HostName};

/// Whether name servers are asked for records of this type. Not for addresses in any form, nor
/// for signatures, which could not match what is told.
pub(super) fn is_forwarded(wanted: RecordType) -> bool {
    matches!(
        wanted,
        RecordType::CAA
            | RecordType::CERT
            | RecordType::CNAME
            | RecordType::HTTPS
            | RecordType::MX
            | RecordType::NAPTR
            | RecordType::NS
            | RecordType::OPENPGPKEY
            | RecordType::SMIMEA
            | RecordType::SOA
            | RecordType::SRV
            | RecordType::SSHFP
            | RecordType::SVCB
            | RecordType::TLSA
            | RecordType::TXT
            | URI
    )
}

/// The host whose service a name is about: `cluster.test` of `_mongodb._tcp.cluster.test`
/// (RFC 8552). Labels have the form of service names and ports (RFC 6335 §5.1), and there are at most
/// two of them, so that nothing much can be said in them.
pub(super) fn host_of_service(name: &HostName) -> Option<HostName> {
    let mut rest = name.as_str();
    let mut labels = 0;
    while let Some((label, after)) = rest.split_once('.')
        && is_service_label(label)
    {
        rest = after;
        labels += 1;
    }
    if !(1..=2).contains(&labels) {
        return None;
    }
    match Host::parse(rest.as_bytes()) {
        Ok(Host::Name(host)) => Some(host),
        Ok(Host::Ip(_)) | Err(_) => None,
    }
}

fn is_service_label(label: &str) -> bool {
    label.strip_prefix('_').is_some_and(|name| {
        (1..=15).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// The query for a question.
pub(super) fn query(question: &Query) -> io::Result<Vec<u8>> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(question.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    message.to_bytes().map_err(io::Error::other)
}

/// What name servers said, as far as it is told: the code, and the answers without addresses.
pub(super) fn told(answer: &[u8], wanted: RecordType) -> io::Result<(ResponseCode, Vec<Record>)> {
    let mut decoder = BinDecoder::new(answer);
    let Header { metadata, counts } = Header::read(&mut decoder).map_err(io::Error::other)?;
    for _ in 0..counts.queries {
        Query::read(&mut decoder).map_err(io::Error::other)?;
    }
    // What follows the answers is not told, so it is not read.
    let mut records = Vec::new();
    for _ in 0..counts.answers {
        let record = Record::read(&mut decoder).map_err(io::Error::other)?;
        // A record without data is one of an update (RFC 2136 §2.4), and nothing in an answer.
        let is_empty = matches!(record.data, RData::Update0(_));
        if record.dns_class == DNSClass::IN
            && !is_empty
            && (record.record_type() == wanted || record.record_type() == RecordType::CNAME)
        {
            records.push(without_addresses(record));
        }
    }
    Ok((metadata.response_code, records))
}

fn without_addresses(mut record: Record) -> Record {
    if let RData::HTTPS(HTTPS(service)) | RData::SVCB(service) = &mut record.data {
        *service = without_hints(service);
    }
    record
}

fn without_hints(service: &SVCB) -> SVCB {
    let is_hint = |key: &SvcParamKey| matches!(key, SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint);
    let parameters = service.svc_params.iter().filter_map(|(key, value)| {
        if is_hint(key) {
            return None;
        }
        // Clients must not use a record that lacks what it calls mandatory (RFC 9460 §8).
        if let SvcParamValue::Mandatory(Mandatory(keys)) = value {
            let kept: Vec<_> = keys.iter().filter(|key| !is_hint(key)).copied().collect();
            return (!kept.is_empty()).then_some((*key, SvcParamValue::Mandatory(Mandatory(kept))));
        }
        Some((*key, value.clone()))
    });
    SVCB::new(
        service.svc_priority,
        service.target_name.clone(),
        parameters.collect(),
    )
}

/// RFC 7553.
const URI: RecordType = RecordType::Unknown(256);
/// What fits into a datagram on every network (RFC 9715).
const PAYLOAD: u16 = 1232;
