//! What `/proc` of the host says: who carries a marker, which namespaces and mounts there are.

use std::collections::BTreeSet;
use std::path::Path;

/// Processes whose environment or arguments hold `marker`, as `pid command` lines.
///
/// Zombies have neither and are not seen here; who reaps is asked by the cases themselves.
#[must_use]
pub fn carriers(marker: &str) -> Vec<String> {
    let own = std::process::id();
    processes()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            ["environ", "cmdline"].iter().any(|file| {
                std::fs::read(format!("/proc/{pid}/{file}"))
                    .is_ok_and(|bytes| contains(&bytes, marker.as_bytes()))
            })
        })
        .map(describe)
        .collect()
}

/// Processes whose working directory lies below `directory`.
#[must_use]
pub fn processes_below(directory: &Path) -> Vec<String> {
    processes()
        .filter(|pid| {
            std::fs::read_link(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| cwd.starts_with(directory))
        })
        .map(describe)
        .collect()
}

/// Processes that run a program, whatever their arguments and environment say.
#[must_use]
pub fn running(program: &Path) -> Vec<String> {
    processes()
        .filter(|pid| {
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|image| image == program)
        })
        .map(describe)
        .collect()
}

/// The distinct namespaces of a kind (`net`, `mnt`, `pid`) that processes of the host are in.
#[must_use]
pub fn namespaces(kind: &str) -> BTreeSet<String> {
    processes()
        .filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|link| link.display().to_string())
        .collect()
}

/// The lines of the host's mount table.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn mounts() -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
    table.lines().map(str::to_owned).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = Path::new("/proc").read_dir().expect("a /proc to look at");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn describe(pid: u32) -> String {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_else(|_| Vec::new());
    let words: Vec<String> = arguments
        .split(|byte| *byte == 0)
        .take(8)
        .map(crate::show)
        .collect();
    format!("{pid} {}", words.join(" "))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
