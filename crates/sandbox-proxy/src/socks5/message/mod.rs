//! SOCKS5 messages (RFC 1928, RFC 1929) as bytes, without I/O.
//!
//! A decoder takes what it understood off the front of its input. On [`DecodeError::Incomplete`]
//! the input is as it was, and the caller comes back with more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client's offer of authentication methods (RFC 1928 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) offers_none: bool,
    pub(crate) offers_password: bool,
}

/// A user name and password, which are read and not looked at (RFC 1929 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials;

/// What the client wants (RFC 1928 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) address: Address,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Connect,
    /// BIND, UDP ASSOCIATE and what nobody defined.
    Other,
}

/// A destination as it was sent: nothing about a name is known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(IpAddr),
    Name(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the message is not complete")]
    Incomplete,
    #[error("not version 5 of SOCKS")]
    Version,
    #[error("not version 1 of the password negotiation")]
    PasswordVersion,
    #[error("unknown address type")]
    AddressType,
    #[error("no authentication methods")]
    NoMethods,
}

/// Reply codes (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

impl TryFrom<&mut &[u8]> for Greeting {
    type Error = DecodeError;

    fn try_from(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut rest = *input;
        if byte(&mut rest)? != VERSION {
            return Err(DecodeError::Version);
        }
        let count = byte(&mut rest)?;
        if count == 0 {
            return Err(DecodeError::NoMethods);
        }
        let methods = take(&mut rest, usize::from(count))?;
        *input = rest;
        Ok(Self {
            offers_none: methods.contains(&METHOD_NONE),
            offers_password: methods.contains(&METHOD_PASSWORD),
        })
    }
}

impl TryFrom<&mut &[u8]> for Credentials {
    type Error = DecodeError;

    fn try_from(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut rest = *input;
        if byte(&mut rest)? != PASSWORD_VERSION {
            return Err(DecodeError::PasswordVersion);
        }
        for _user_then_password in 0..2 {
            let length = byte(&mut rest)?;
            take(&mut rest, usize::from(length))?;
        }
        *input = rest;
        Ok(Self)
    }
}

impl TryFrom<&mut &[u8]> for Request {
    type Error = DecodeError;

    fn try_from(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut rest = *input;
        if byte(&mut rest)? != VERSION {
            return Err(DecodeError::Version);
        }
        let command = match byte(&mut rest)? {
            1 => Command::Connect,
            _ => Command::Other,
        };
        byte(&mut rest)?; // Reserved: RFC 1928 does not say to check it, and clients differ.
        let address = match byte(&mut rest)? {
            1 => Address::Ip(Ipv4Addr::from(array::<4>(&mut rest)?).into()),
            3 => {
                let length = byte(&mut rest)?;
                Address::Name(take(&mut rest, usize::from(length))?.to_vec())
            }
            4 => Address::Ip(Ipv6Addr::from(array::<16>(&mut rest)?).into()),
            _ => return Err(DecodeError::AddressType),
        };
        let port = u16::from_be_bytes(array::<2>(&mut rest)?);
        *input = rest;
        Ok(Self {
            command,
            address,
            port,
        })
    }
}

impl Greeting {
    /// The answer that chooses a method; `None` leaves nothing to choose.
    pub(crate) const fn choose(self) -> Option<u8> {
        if self.offers_none {
            Some(METHOD_NONE)
        } else if self.offers_password {
            Some(METHOD_PASSWORD)
        } else {
            None
        }
    }
}

impl Reply {
    /// The whole reply. The bound address is always zero: the host's address is none of the
    /// sandbox's business.
    pub(crate) const fn bytes(self) -> [u8; 10] {
        [VERSION, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

fn byte(input: &mut &[u8]) -> Result<u8, DecodeError> {
    let (first, rest) = input.split_first().ok_or(DecodeError::Incomplete)?;
    *input = rest;
    Ok(*first)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (taken, rest) = input
        .split_at_checked(length)
        .ok_or(DecodeError::Incomplete)?;
    *input = rest;
    Ok(taken)
}

fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, rest) = input.split_first_chunk().ok_or(DecodeError::Incomplete)?;
    *input = rest;
    Ok(*taken)
}

pub(crate) const VERSION: u8 = 5;
pub(crate) const METHOD_NONE: u8 = 0;
pub(crate) const METHOD_PASSWORD: u8 = 2;
/// RFC 1928 §3: no acceptable method.
pub(crate) const METHOD_UNACCEPTABLE: u8 = 0xff;
pub(crate) const PASSWORD_VERSION: u8 = 1;

#[cfg(test)]
mod tests;
