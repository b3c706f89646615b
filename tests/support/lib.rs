//! Support code of the black-box suites: a test bed, the command builder, host-side witnesses.
//!
//! Nothing here links a crate of the product; the generated cases of the files suite ask its policy what to expect. A verdict about a refusal is always taken on the
//! host (a file's bytes, an accept count, `/proc`), never from what the sandboxed program says
//! alone, and every refusal stands next to a positive control.
//!
//! Environment read by the suites:
//!
//! * `SRT_UNDER_TEST`: path of the binary; by default the `srt` next to the test executables.
//! * `SRT_SUBJECT=upstream`: the binary is upstream's tool; the gates of ours do not apply.
//! * `SRT_TIME_SCALE`: factor for every timeout, 1 by default; slow machines set more.
//! * `SRT_EXPECT_ALL=1`: a skip is a failure.
//! * `SRT_TEST_TMP`: where the beds are made; it should not lie below `/tmp`.
//! * `SRT_TEST_SEED`: where generated cases start, another number for other cases.
//! * `SRT_TEST_RACE`: for how many seconds each race is run, 20 by default.
//! * `SRT_TEST_CONNECTIONS`: how many connections are made and ended in a row, 10,000 by default.
//! * `SRT_BWRAP`: a `bwrap` to compare start-up with, where none is in the path.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "test support reports a broken bed by panicking, as the suites do"
)]

mod bed;
mod gates;
mod net;
mod origin;
mod output;
mod pty;
mod random;
mod run;
mod scan;
mod skip;
mod srt;
mod subject;
mod timing;
mod tree;
mod watch;

pub use bed::Bed;
pub use gates::Gates;
pub use net::{Datagrams, Listener, UnixWitness, hosts_launcher, names_can_be_set};
pub use origin::{Origin, Reply, Request};
pub use output::{Output, show};
pub use pty::{Session, Terminal};
pub use random::Random;
pub use run::{Background, Running, host, host_time, is_root, signal, tool, tool_path, wait_until};
pub use scan::{carriers, mounts, namespaces, processes_below, running};
pub use skip::{count_skip, note, say, skipped};
pub use srt::Srt;
pub use subject::{
    Subject, binary, bwrap, connections, is_debug_build, playwright, subject, time_scale, timeout,
    upstream,
};
pub use timing::{interleave, median, race_time};
pub use tree::{Tree, tree_hash};
pub use watch::Watch;
