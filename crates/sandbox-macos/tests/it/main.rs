//! Profiles on any operating system: what they say (snapshots), and what they mean (an evaluator of
//! SBPL against the policy's own verdicts).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod agreement;
mod escaping;
mod evaluator;
mod landings;
mod launch;
mod network;
mod pins;
mod snapshots;
mod support;
