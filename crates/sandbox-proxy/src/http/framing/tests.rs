//! The framer alone: every cut of the bytes gives the same requests.

use super::*;

/// Feeds bytes in pieces of `size`; returns what was released, or the fault.
fn feed(bytes: &[u8], size: usize) -> Result<Vec<u8>, WireFault> {
    let mut framer = Framer::new(1024);
    let mut pending: Vec<u8> = Vec::new();
    let mut released = Vec::new();
    for piece in bytes.chunks(size) {
        pending.extend(piece);
        loop {
            match framer.step(&pending)? {
                Step::Release(length) => released.extend(pending.drain(..length)),
                Step::Discard(length) => drop(pending.drain(..length)),
                Step::More => break,
            }
        }
    }
    Ok(released)
}

#[test]
fn well_formed_requests_pass_unchanged_however_they_are_cut() {
    let requests: &[&[u8]] = &[
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.0\r\n\r\n",
        b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\r\n\0\n\r",
        b"POST http://a/ HTTP/1.1\r\nhost:a\r\ntransfer-ENCODING:\tchunked \r\n\r\n3\r\n\r\n\n\r\n00a\r\n0123456789\r\n0\r\n\r\n",
        b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n\0\n\x16 anything\r",
    ];
    let all = requests.concat();
    for size in 1..all.len() {
        assert_eq!(feed(&all, size), Ok(all.clone()), "pieces of {size}");
    }
}

#[test]
fn faults_do_not_depend_on_the_cut() {
    for (bytes, fault) in [
        (&b"GET http://a/ HTTP/1.1\nHost: a\r\n\r\n"[..], WireFault::LineEnd),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\rX", WireFault::LineEnd),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", WireFault::Field),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", WireFault::Host),
        (b"GET http://a/ HTTP/3\r\nHost: a\r\n\r\n", WireFault::Version),
        (b"PRI * HTTP/2.0\r\n\r\n", WireFault::Version),
        (b"\x16\x03\x01", WireFault::RequestLine),
        (b"\x05\x01\x00", WireFault::RequestLine),
        (b"\r\n\r\nGET", WireFault::RequestLine),
        (
            b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            WireFault::TwoLengths,
        ),
        (
            b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\n",
            WireFault::ChunkSize,
        ),
        (
            b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
            WireFault::ChunkEnd,
        ),
        (
            b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n",
            WireFault::Trailer,
        ),
    ] {
        for size in 1..=bytes.len() {
            assert_eq!(feed(bytes, size), Err(fault), "{} by {size}", bytes.escape_ascii());
        }
    }
}

#[test]
fn heads_lines_and_trailers_have_limits() {
    let long = "x".repeat(2000);
    let trailers = "a: b\r\n".repeat(400);
    let chunked = "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, fault) in [
        (format!("GET http://a/{long}"), WireFault::HeadTooLarge),
        (
            format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            WireFault::HeadTooLarge,
        ),
        (format!("{chunked}0\r\n{trailers}"), WireFault::HeadTooLarge),
        (format!("{chunked}0\r\nx: {long}"), WireFault::HeadTooLarge),
        (
            format!("{chunked}{}", "0".repeat(100)),
            WireFault::ChunkSize,
        ),
    ] {
        for size in [1, 7, 5000] {
            assert_eq!(feed(bytes.as_bytes(), size), Err(fault), "{size}");
        }
    }
}

#[test]
fn content_may_pass_without_being_buffered() {
    let mut framer = Framer::new(1024);
    let head = b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    assert_eq!(framer.step(head), Ok(Step::Release(head.len())));
    assert_eq!(framer.content_left(), 10);
    framer.content_passed(4);
    assert_eq!(framer.content_left(), 6);
    assert!(!framer.expects_head());
    framer.content_passed(6);
    assert_eq!(framer.content_left(), 0);
    assert!(framer.expects_head());
}
