//! The binary: what it says about itself, about wrong usage and about wrong settings. What it does
//! to commands is the matter of the suites in `tests/`.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failing test says where"
)]

mod help;
mod settings;
mod support;
mod tools;
mod usage;
