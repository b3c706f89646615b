//! Files of `/proc` beside those of processes whose content depends on who opens them.

use super::rules::is_within;

/// They show the namespaces and the keyrings of the opener, and the supervisor's are the host's: the sysctl
/// tables that the kernel looks up for the current process (`net_ctl_root`, user and ipc namespaces; sysctl(5)),
/// sysvipc(7), keyrings(7). Other sysctls of an ipc namespace are plain limits.
const OF_OPENER: [&[u8]; 6] = [
    b"sys/net",
    b"sys/user",
    b"sys/fs/mqueue",
    b"sysvipc",
    b"keys",
    b"key-users",
];

/// Whether a path below `/proc` is one of them, or in one.
pub(super) fn depends_on_opener(below_proc: &[u8]) -> bool {
    let mut files = OF_OPENER.iter();
    files.any(|file| is_within(below_proc, file))
}
