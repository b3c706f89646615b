//! Standard streams.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use tokio::net::unix::pipe;

use crate::error::SpawnError;

/// Where a standard stream of a command leads.
#[derive(Debug)]
pub struct Stdio(Kind);

#[derive(Debug)]
enum Kind {
    Inherit,
    Null,
    Piped,
    Descriptor(OwnedFd),
}

/// The writing end of a command's standard input.
pub(crate) type ChildInput = pipe::Sender;
/// The reading end of a command's output.
pub(crate) type ChildOutput = pipe::Receiver;

impl Stdio {
    /// The host program's own stream.
    #[must_use]
    pub const fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// `/dev/null`.
    #[must_use]
    pub const fn null() -> Self {
        Self(Kind::Null)
    }

    /// A pipe whose other end the [`Child`](crate::Child) holds.
    #[must_use]
    pub const fn piped() -> Self {
        Self(Kind::Piped)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Kind::Descriptor(descriptor))
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        Self(Kind::Descriptor(file.into()))
    }
}

/// The command's end: `None` means the host program's own stream.
pub(crate) type Inside = Option<OwnedFd>;

pub(crate) fn input(stdio: Stdio) -> Result<(Option<ChildInput>, Inside), SpawnError> {
    let open = || -> io::Result<_> {
        Ok(match stdio.0 {
            Kind::Inherit => (None, None),
            Kind::Null => (None, Some(File::open("/dev/null")?.into())),
            Kind::Descriptor(descriptor) => (None, Some(descriptor)),
            Kind::Piped => {
                let (inside, outside) = pipe()?;
                (Some(pipe::Sender::from_owned_fd(outside)?), Some(inside))
            }
        })
    };
    open().map_err(|source| SpawnError::Stream { source })
}

pub(crate) fn output(stdio: Stdio) -> Result<(Option<ChildOutput>, Inside), SpawnError> {
    let open = || -> io::Result<_> {
        Ok(match stdio.0 {
            Kind::Inherit => (None, None),
            Kind::Null => (
                None,
                Some(File::options().write(true).open("/dev/null")?.into()),
            ),
            Kind::Descriptor(descriptor) => (None, Some(descriptor)),
            Kind::Piped => {
                let (outside, inside) = pipe()?;
                (Some(pipe::Receiver::from_owned_fd(outside)?), Some(inside))
            }
        })
    };
    open().map_err(|source| SpawnError::Stream { source })
}

/// A pipe that no other child of the host program inherits; reading end first.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reading, writing) = rustix::pipe::pipe()?;
    for end in [&reading, &writing] {
        rustix::io::fcntl_setfd(end.as_fd(), rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((reading, writing))
}
