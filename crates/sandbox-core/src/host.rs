//! What a sandbox takes from the process that it runs in: the environment that commands inherit,
//! the working directory, descriptors, the addresses and the kernel of the host. Nothing here decides
//! anything.

use std::{
    collections::HashSet,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    net::IpAddr,
    os::unix::ffi::OsStrExt as _,
};

use sandbox_policy::{AbsolutePath, OwnAddresses};

use crate::platform;

/// The variables that a command inherits.
pub(crate) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os()
}

/// Where a command starts unless it is told otherwise.
#[expect(
    clippy::disallowed_methods,
    reason = "a command inherits the working directory"
)]
pub(crate) fn working_directory() -> io::Result<AbsolutePath> {
    AbsolutePath::new(env::current_dir()?).map_err(io::Error::other)
}

/// The user's home directory, as programs inside will look for it.
#[expect(clippy::disallowed_methods, reason = "the home stays visible inside")]
pub(crate) fn home() -> Option<AbsolutePath> {
    AbsolutePath::new(env::var_os("HOME")?).ok()
}

/// Where programs outside look for the user's settings, if they are told.
#[expect(clippy::disallowed_methods, reason = "git obeys what is there")]
pub(crate) fn config_home() -> Option<AbsolutePath> {
    AbsolutePath::new(env::var_os("XDG_CONFIG_HOME")?).ok()
}

/// The home directories of people on this machine that this process may look into, its own first: what is
/// secret in one is in all.
pub(crate) fn homes(own: Option<&AbsolutePath>) -> Vec<AbsolutePath> {
    // Where users are kept elsewhere the own home is known without it.
    let users = fs::read(USERS);
    let is_open = |home: &AbsolutePath| fs::symlink_metadata(home.as_path().join(".")).is_ok();
    let others = users.iter().flat_map(|users| people(users)).filter(is_open);
    let mut homes: Vec<_> = own.cloned().into_iter().chain(others).collect();
    let mut known = HashSet::new();
    homes.retain(|home| known.insert(home.clone()));
    homes
}

/// passwd(5): the third field is the user's number, the sixth the home.
const USERS: &str = "/etc/passwd";

/// Root and those that are no services: their numbers begin at 1000 (login.defs(5), `UID_MIN`).
fn people(users: &[u8]) -> impl Iterator<Item = AbsolutePath> {
    let lines = users.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let number: u32 = str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
        let home = AbsolutePath::new(OsStr::from_bytes(fields.nth(2)?)).ok()?;
        let is_person = number == 0 || (1000..NOBODY).contains(&number);
        (is_person && home.depth() > 0).then_some(home)
    })
}

/// The user without rights.
const NOBODY: u32 = 65534;

/// The addresses of the host's interfaces, which names must not lead to.
pub(crate) fn own_addresses() -> io::Result<OwnAddresses> {
    let interfaces = if_addrs::get_if_addrs()?;
    let addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    Ok(OwnAddresses(addresses))
}

/// A duplicate of a descriptor that this process was started with, to be written.
///
/// Errors: `EBADF` where there is none of this number, or where it is open for reading only.
pub fn inherited_descriptor(number: i32) -> io::Result<File> {
    let file = File::from(platform::inherited(number)?);
    let mode = rustix::fs::fcntl_getfl(&file)? & rustix::fs::OFlags::RWMODE;
    if mode == rustix::fs::OFlags::RDONLY {
        return Err(rustix::io::Errno::BADF.into());
    }
    Ok(file)
}

/// The kernel's name, release and machine (uname(2)).
pub(crate) fn kernel() -> String {
    let found = rustix::system::uname();
    let parts = [found.sysname(), found.release(), found.machine()];
    parts
        .map(|part| part.to_bytes().escape_ascii().to_string())
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_homes_and_services_have_none() {
        let users = b"root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
            me:x:1000:1000:Me,,,:/home/me:/bin/zsh\nnobody:x:65534:65534::/nonexistent:/bin/false\n\
            odd:x:1001:1001::/:/bin/sh\nrelative:x:1002:1002::home:/bin/sh\nbroken:x\n+::::::\n";
        let homes: Vec<_> = people(users).collect();
        let expected = ["/root", "/home/me"].map(|home| AbsolutePath::new(home).unwrap());
        assert_eq!(homes, expected);
    }
}
