//! Address classes, embedded IPv4 addresses included.

use super::ip;
use crate::AddressClass::{self, Broadcast, LinkLocal, Loopback, Metadata, Multicast, Unspecified};

#[test]
fn every_address_has_its_class() {
    for (text, class) in CLASSES {
        assert_eq!(AddressClass::of(ip(text)), *class, "{text}");
    }
}

#[test]
fn an_embedded_address_has_the_class_of_the_embedding_one() {
    for (text, class) in CLASSES.iter().filter(|(text, _)| !text.contains(':')) {
        let [a, b, c, d] = text.parse::<std::net::Ipv4Addr>().unwrap().octets();
        for embedding in [
            format!("::ffff:{text}"),
            format!("::ffff:0:{text}"),
            format!("64:ff9b::{text}"),
            format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
        ] {
            assert_eq!(AddressClass::of(ip(&embedding)), *class, "{embedding}");
        }
    }
}

const CLASSES: &[(&str, Option<AddressClass>)] = &[
    ("127.0.0.1", Some(Loopback)),
    ("127.255.255.255", Some(Loopback)),
    ("126.255.255.255", None),
    ("128.0.0.1", None),
    ("0.0.0.0", Some(Unspecified)),
    ("0.1.2.3", Some(Unspecified)),
    ("1.0.0.0", None),
    ("169.254.169.254", Some(LinkLocal)),
    ("169.254.0.0", Some(LinkLocal)),
    ("169.253.255.255", None),
    ("169.255.0.0", None),
    ("224.0.0.1", Some(Multicast)),
    ("239.255.255.255", Some(Multicast)),
    ("223.255.255.255", None),
    ("240.0.0.1", None),
    ("255.255.255.255", Some(Broadcast)),
    ("255.255.255.254", None),
    ("100.100.100.200", Some(Metadata)),
    ("168.63.129.16", Some(Metadata)),
    ("192.0.0.192", Some(Metadata)),
    ("192.0.0.193", None),
    ("10.0.0.1", None),
    ("172.16.0.1", None),
    ("192.168.0.1", None),
    ("93.184.216.34", None),
    ("::1", Some(Loopback)),
    ("::", Some(Unspecified)),
    ("::2", Some(Unspecified)),
    ("::127.0.0.1", Some(Loopback)),
    ("::169.254.169.254", Some(LinkLocal)),
    ("::93.184.216.34", None),
    ("fe80::1", Some(LinkLocal)),
    ("febf::1", Some(LinkLocal)),
    ("fec0::1", None),
    ("ff02::1", Some(Multicast)),
    ("fd00:ec2::254", Some(Metadata)),
    ("fd00:ec2:ffff::1", Some(Metadata)),
    ("fd00:ec3::254", None),
    ("fd20:ce::254", Some(Metadata)),
    ("fd20:ce::253", None),
    ("fd00:c1::a9fe:a9fe", Some(Metadata)),
    ("fd00:42::42", Some(Metadata)),
    ("fd00:a9fe:a9fe::1", Some(Metadata)),
    ("fd00:100::100:200", Some(Metadata)),
    ("2001:db8::1", None),
    ("fd12::1", None),
    // Prefixes that look like embeddings and are not.
    ("64:ff9b:1::7f00:1", None),
    ("64:ff9c::7f00:1", None),
    ("1::ffff:7f00:1", None),
    ("2003:7f00:1::", None),
];
