//! Which program inside has a socket: for reports of connections that the proxies refused.
//!
//! The tables of the sandbox's network namespace (proc_pid_net(5)) give a socket's inode by its port,
//! the descriptors of the processes inside give the process by the inode. The owner of the sandbox may
//! read both.

use std::{collections::VecDeque, ffi::OsString, fs, path::PathBuf};

use crate::supervisor::Program;

/// Descriptors and processes that are looked at; a report is not worth more.
const MOST_DESCRIPTORS: usize = 4096;
const MOST_PROCESSES: usize = 1024;

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// The program whose socket has a local port, among the descendants of a sandbox's first process.
#[must_use]
pub fn client(first: i32, transport: Transport, port: u16) -> Option<Program> {
    let inode = inode(first, transport, port)?;
    let socket = format!("socket:[{inode}]");
    let mut budget = MOST_DESCRIPTORS;
    let process = descendants(first).into_iter().find(|process| {
        let descriptors = fs::read_dir(format!("/proc/{process}/fd"));
        let mut descriptors = descriptors.into_iter().flatten().flatten();
        descriptors.any(|descriptor| {
            budget = budget.saturating_sub(1);
            let target = fs::read_link(descriptor.path());
            budget > 0 && target.is_ok_and(|target| target.as_os_str() == socket.as_str())
        })
    })?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok();
    Some(Program {
        process: Some(process),
        name: name.map(|name| OsString::from(name.trim_end_matches('\n'))),
        executable: fs::read_link(format!("/proc/{process}/exe")).ok(),
    })
}

fn inode(first: i32, transport: Transport, port: u16) -> Option<u64> {
    let tables = match transport {
        Transport::Stream => ["tcp", "tcp6"],
        Transport::Datagram => ["udp", "udp6"],
    };
    let mut found = tables.into_iter().filter_map(|table| {
        let path = PathBuf::from(format!("/proc/{first}/net/{table}"));
        let text = fs::read_to_string(path).ok()?;
        text.lines().skip(1).find_map(|line| socket_at(line, port))
    });
    found.next()
}

/// The inode of a line's socket, if it has the port. A closed one has the inode 0.
fn socket_at(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
    if u16::from_str_radix(local_port, 16) != Ok(port) {
        return None;
    }
    // After the local address: the remote one, state, queues, timer, retransmits, uid, timeout, inode.
    let inode = fields.nth(7)?.parse().ok()?;
    (inode != 0).then_some(inode)
}

fn descendants(first: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([first]);
    while let Some(process) = waiting.pop_front() {
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            // A thread that has ended has none.
            if let Ok(children) = fs::read_to_string(thread.path().join("children")) {
                let children = children.split_ascii_whitespace();
                waiting.extend(children.filter_map(|pid| pid.parse::<i32>().ok()));
            }
        }
        if process != first {
            found.push(process);
        }
        if found.len() >= MOST_PROCESSES {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_gives_the_inode() {
        let line = "   0: 0100007F:8AE4 0100007F:0C38 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 20 4 30 10 -1";
        assert_eq!(socket_at(line, 0x8ae4), Some(12345));
        assert_eq!(socket_at(line, 0x0c38), None);
        assert_eq!(socket_at("", 1), None);
    }
}
