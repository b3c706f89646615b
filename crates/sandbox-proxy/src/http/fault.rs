//! Requests that are refused for how they are written.

/// Why the bytes of a request are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireFault {
    #[error("the request line is malformed")]
    RequestLine,
    #[error("only HTTP/1.1 and HTTP/1.0 are served")]
    Version,
    #[error("a line does not end in CR LF")]
    LineEnd,
    #[error("a header field is malformed")]
    Field,
    #[error("the request head is too large")]
    HeadTooLarge,
    #[error("the Content-Length is malformed, repeated or out of place")]
    Length,
    #[error("the Transfer-Encoding is not `chunked`, repeated or out of place")]
    TransferEncoding,
    #[error("the request has both a Content-Length and a Transfer-Encoding")]
    TwoLengths,
    #[error("the request has no Host field, or more than one")]
    Host,
    #[error("a chunk size is malformed or has an extension")]
    ChunkSize,
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    #[error("a trailer field that belongs into the head")]
    Trailer,
}

impl WireFault {
    /// A request that stands in for the refused one, so that the HTTP library has something to ask
    /// an answer for. A client that sends it itself gets the same refusal.
    pub(crate) fn stand_in(self) -> String {
        let code = self as u8;
        format!(
            "{STAND_IN_METHOD} /{code} HTTP/1.1\r\nHost: refused.invalid\r\nConnection: close\r\n\r\n"
        )
    }

    /// The fault that a stand-in request tells of.
    pub(crate) fn of_stand_in(method: &http::Method, path: &str) -> Option<Self> {
        if method.as_str() != STAND_IN_METHOD {
            return None;
        }
        let code: u8 = path.strip_prefix('/')?.parse().ok()?;
        ALL.into_iter().find(|fault| *fault as u8 == code)
    }
}

const STAND_IN_METHOD: &str = "MALFORMED";

const ALL: [WireFault; 12] = [
    WireFault::RequestLine,
    WireFault::Version,
    WireFault::LineEnd,
    WireFault::Field,
    WireFault::HeadTooLarge,
    WireFault::Length,
    WireFault::TransferEncoding,
    WireFault::TwoLengths,
    WireFault::Host,
    WireFault::ChunkSize,
    WireFault::ChunkEnd,
    WireFault::Trailer,
];
