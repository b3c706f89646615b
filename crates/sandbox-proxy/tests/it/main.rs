//! The proxy against loopback origins: every refusal is judged at the origin, which must not have
//! been reached, and next to it stands the same request in a form that does reach it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where its setting is broken, and prints what it measured"
)]

mod besides;
mod connect;
mod decider;
mod dns;
mod events;
mod external;
mod forward;
mod limits;
mod live;
mod rebinding;
mod relay;
mod shutdown;
mod smuggling;
mod socks5;
mod spellings;
mod streaming;
mod support;
mod throughput;
mod upgrade;
