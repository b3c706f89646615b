//! Queries off the wire (RFC 1035 §4.1, RFC 6891), as narrow as clients send them.
//!
//! Only the header, one question and an OPT record are decoded. What else a message may hold has
//! no business in a query, and its decoders stay out of the sandbox's reach.

use hickory_proto::{
    op::{Edns, Header, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{Name, Record, RecordType},
    serialize::binary::{BinDecodable, BinDecoder, DecodeError},
};

/// A query that can be answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) metadata: Metadata,
    pub(super) query: Query,
    pub(super) edns: Option<Edns>,
}

/// Why a message is not such a query.
#[derive(Debug)]
pub(super) enum RequestError {
    /// Too short for a header, or itself an answer: to reply could go on forever.
    Unanswerable,
    /// It is answered with an error that repeats nothing but the header.
    Refused(Metadata, ResponseCode),
}

impl Request {
    pub(super) fn decode(message: &[u8]) -> Result<Self, RequestError> {
        let mut decoder = BinDecoder::new(message);
        let Header { metadata, counts } =
            Header::read(&mut decoder).map_err(|_short| RequestError::Unanswerable)?;
        if metadata.message_type == MessageType::Response {
            return Err(RequestError::Unanswerable);
        }
        if metadata.op_code != OpCode::Query {
            return Err(RequestError::Refused(metadata, ResponseCode::NotImp));
        }
        let malformed = RequestError::Refused(metadata, ResponseCode::FormErr);
        if (counts.queries, counts.answers, counts.authorities) != (1, 0, 0) {
            return Err(malformed);
        }
        let Ok(query) = Query::read(&mut decoder) else {
            return Err(malformed);
        };
        let edns = match counts.additionals {
            0 => Ok(None),
            1 => options(message, &mut decoder),
            _ => return Err(malformed),
        };
        let Ok(edns) = edns else {
            return Err(malformed);
        };
        Ok(Self {
            metadata,
            query,
            edns,
        })
    }
}

/// The OPT record; another one is passed over unread.
fn options<'a>(
    message: &'a [u8],
    decoder: &mut BinDecoder<'a>,
) -> Result<Option<Edns>, DecodeError> {
    let mut ahead = BinDecoder::new(message);
    ahead.read_slice(decoder.index())?;
    Name::read(&mut ahead)?;
    if RecordType::read(&mut ahead)? != RecordType::OPT {
        return Ok(None);
    }
    Ok(Some(Edns::from(&Record::read(decoder)?)))
}
