//! Isolation: namespaces, `/proc`, capabilities, descriptors, system calls, sockets.
#![expect(
    clippy::expect_used,
    reason = "suites fail loudly: a broken assumption of a case is a failure"
)]

mod datagrams;
mod kernel;
mod namespaces;
mod processes;
mod settings_modes;
mod shared;
mod sockets;
mod tracing;
mod unix_sockets;
