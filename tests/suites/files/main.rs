//! Files: what is written, what is refused, what is hidden, and what programs still need.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod denies;
mod devices;
mod differential;
mod driver;
mod faults;
mod fuse;
mod future;
mod ghosts;
mod git;
mod git_copies;
mod git_index;
mod git_links;
mod git_locks;
mod git_named;
mod handles;
mod kernel_rules;
mod life;
mod linked;
mod mounts;
mod opened_devices;
mod planted;
mod preset;
mod procfs;
mod protected;
mod races;
mod roots;
mod shortage;
mod shown;
mod through_links;
mod together;
mod ways;
mod writes;

use serde_json::{Value, json};

/// Flat settings with these rules and no network.
fn rules(
    deny_read: &[&str],
    allow_read: &[&str],
    allow_write: &[&str],
    deny_write: &[&str],
) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {
            "denyRead": deny_read, "allowRead": allow_read, "allowWrite": allow_write, "denyWrite": deny_write,
        },
    })
}
