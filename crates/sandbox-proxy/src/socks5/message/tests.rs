//! Every message, whole and cut at every byte.

use super::*;

fn decode<'a, T>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), DecodeError>
where
    T: for<'i> TryFrom<&'i mut &'a [u8], Error = DecodeError>,
{
    let mut rest = bytes;
    let message = T::try_from(&mut rest)?;
    Ok((message, rest))
}

/// The message decodes from its bytes alone and with more behind, and is incomplete before.
fn check<T>(bytes: &'static [u8], expected: &T)
where
    T: for<'i> TryFrom<&'i mut &'static [u8], Error = DecodeError> + PartialEq + std::fmt::Debug,
{
    for end in 0..bytes.len() {
        assert_eq!(
            decode::<T>(&bytes[..end]).unwrap_err(),
            DecodeError::Incomplete
        );
    }
    let (message, rest) = decode::<T>(bytes).unwrap();
    assert_eq!((&message, rest), (expected, &b""[..]));
    let longer: &'static [u8] = [bytes, b"more"].concat().leak();
    let (message, rest) = decode::<T>(longer).unwrap();
    assert_eq!((&message, rest), (expected, &b"more"[..]));
}

#[test]
fn messages_decode_whole_and_never_in_part() {
    check(
        b"\x05\x01\x00",
        &Greeting {
            offers_none: true,
            offers_password: false,
        },
    );
    check(
        b"\x05\x02\x01\x02",
        &Greeting {
            offers_none: false,
            offers_password: true,
        },
    );
    check(b"\x01\x03srt\x02pw", &Credentials);
    check(b"\x01\x00\x00", &Credentials);
    check(
        b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
        &Request {
            command: Command::Connect,
            address: Address::Ip([127, 0, 0, 1].into()),
            port: 80,
        },
    );
    check(
        b"\x05\x03\x00\x03\x04a\x00.b\x01\xbb",
        &Request {
            command: Command::Other,
            address: Address::Name(b"a\0.b".to_vec()),
            port: 443,
        },
    );
    check(
        b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x16",
        &Request {
            command: Command::Connect,
            address: Address::Ip(Ipv6Addr::LOCALHOST.into()),
            port: 22,
        },
    );
}

#[test]
fn other_protocols_are_told_apart_by_their_first_bytes() {
    assert_eq!(
        decode::<Greeting>(b"\x04\x01\x00\x50").unwrap_err(),
        DecodeError::Version
    );
    assert_eq!(
        decode::<Greeting>(b"GET / HTTP/1.1").unwrap_err(),
        DecodeError::Version
    );
    assert_eq!(
        decode::<Greeting>(b"\x05\x00").unwrap_err(),
        DecodeError::NoMethods
    );
    assert_eq!(
        decode::<Credentials>(b"\x05\x00").unwrap_err(),
        DecodeError::PasswordVersion
    );
    assert_eq!(
        decode::<Request>(b"\x05\x01\x00\x02").unwrap_err(),
        DecodeError::AddressType
    );
    assert_eq!(
        decode::<Request>(b"\x04\x01").unwrap_err(),
        DecodeError::Version
    );
}
