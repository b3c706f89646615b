//! Settings files in, settings or errors out.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a failing test says where"
)]

mod errors;
mod formats;
mod hosts;
mod layers;
mod live;
mod managed;
mod ports;
mod proxies;
mod remember;
mod schema;
mod support;
mod trust;
