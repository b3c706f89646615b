//! Asks a SOCKS5 proxy for a connection (RFC 1928), with a login if it has one (RFC 1929). Names go to
//! it as names.

use std::{io, net::IpAddr};

use sandbox_policy::{Host, ProxyLogin, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::TunnelError;

/// The messages have known lengths, so nothing of the tunnel is read with them.
pub(super) async fn connect(
    stream: &mut TcpStream,
    target: &Target,
    login: Option<&ProxyLogin>,
) -> Result<(), TunnelError> {
    let greeting: &[u8] = match login {
        Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
        None => &[VERSION, 1, NO_LOGIN],
    };
    stream.write_all(greeting).await?;
    match (read(stream).await?, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, PASSWORD], Some(login)) => log_in(stream, login).await?,
        ([VERSION, _], _) => return Err(TunnelError::Login),
        _ => return Err(TunnelError::Malformed),
    }
    stream.write_all(&request(target)?).await?;
    let [version, reply, _reserved, kind] = read(stream).await?;
    if version != VERSION {
        return Err(TunnelError::Malformed);
    }
    if reply != SUCCEEDED {
        return Err(TunnelError::Reply(reply));
    }
    // The address that the proxy is bound to tells nothing here.
    match kind {
        IPV4 => drop(read::<4>(stream).await?),
        IPV6 => drop(read::<16>(stream).await?),
        NAME => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
        }
        _ => return Err(TunnelError::Malformed),
    }
    stream.read_u16().await?;
    Ok(())
}

async fn log_in(stream: &mut TcpStream, login: &ProxyLogin) -> Result<(), TunnelError> {
    let mut request = vec![LOGIN_VERSION];
    for part in [&login.user, &login.password] {
        request.push(u8::try_from(part.len()).map_err(|_long| TunnelError::TooLong)?);
        request.extend(part);
    }
    stream.write_all(&request).await?;
    match read(stream).await? {
        [LOGIN_VERSION, SUCCEEDED] => Ok(()),
        [LOGIN_VERSION, _] => Err(TunnelError::LoginRefused),
        _ => Err(TunnelError::Malformed),
    }
}

/// What a reply code is for those who know only failures to connect (RFC 1928 §6).
pub(super) fn kind_of(reply: u8) -> io::ErrorKind {
    match reply {
        3 => io::ErrorKind::NetworkUnreachable,
        4 => io::ErrorKind::HostUnreachable,
        6 => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::ConnectionRefused,
    }
}

fn request(target: &Target) -> Result<Vec<u8>, TunnelError> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &target.host {
        Host::Ip(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Host::Name(name) => {
            let name = name.as_str().as_bytes();
            request.push(NAME);
            request.push(u8::try_from(name.len()).map_err(|_long| TunnelError::TooLong)?);
            request.extend(name);
        }
    }
    request.extend(target.port.get().to_be_bytes());
    Ok(request)
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
