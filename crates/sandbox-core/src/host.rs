//! What a sandbox takes from the process that it runs in: the environment that commands inherit,
//! the working directory, descriptors, the addresses and the kernel of the host. Nothing here decides
//! anything.

use std::{env, ffi::OsString, fs::File, io, net::IpAddr};

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
