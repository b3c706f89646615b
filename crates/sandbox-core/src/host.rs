//! What a sandbox takes from the process that it runs in: the environment that commands inherit,
//! the working directory, the addresses of the host. Nothing here decides anything.

use std::{env, ffi::OsString, io, net::IpAddr};

use sandbox_policy::{AbsolutePath, OwnAddresses};

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
