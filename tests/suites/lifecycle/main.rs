//! Lifecycle: many starts, sudden ends, and nothing left behind.
#![expect(
    clippy::unwrap_used,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod children;
mod ends;
mod starts;
mod traces;
