//! The network: allowed names through the proxies, and nothing any other way.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod around;
mod ask;
mod bypasses;
mod control;
mod denied;
mod external;
mod forward;
mod matrix;
mod meant;
mod names;
mod parents;
mod ports;
mod resolvers;
mod socks;

use sandbox_tests::{Bed, Srt};
use serde_json::{Value, json};

/// A name that only the private hosts file knows.
const NAME: &str = "origin.srt.test";

/// Another one, never allowed.
const OTHER: &str = "other.srt.test";

/// Sends standard input to a proxy and prints what comes back until it is quiet or closed.
/// Arguments: the kind of proxy, and how many seconds of quiet mean the end.
const RAW: &str = include_str!("raw.py");

/// Speaks SOCKS5 to the proxy: kind of address, address, port, and what to send then.
const SOCKS: &str = include_str!("socks.py");

fn settings(allowed: &[&str], denied: &[&str]) -> Value {
    json!({
        "network": {"allowedDomains": allowed, "deniedDomains": denied},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

/// Settings that allow the name and, because it resolves to loopback, that address.
fn allowing(port: u16) -> Value {
    settings(
        &[&format!("{NAME}:{port}"), &format!("127.0.0.1:{port}")],
        &[],
    )
}

/// A run in which both names stand for 127.0.0.1.
fn named<'b>(bed: &'b Bed, settings: &Value) -> Srt<'b> {
    bed.srt()
        .flat(settings)
        .hosts(&[(NAME, "127.0.0.1"), (OTHER, "127.0.0.1")])
        .within(60.0)
}
