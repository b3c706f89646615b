//! Netlink messages that set a network namespace up: pure encoding, done before the clone.
//!
//! Two conversations. rtnetlink(7): the loopback interface comes up, gets one global address of each
//! family (without one, `AI_ADDRCONFIG` look-ups fail, RFC 3493 §6.1), and every address becomes
//! local to it ("AnyIP" routes), so that packets to anywhere arrive here. nf_tables: TCP connections
//! to other than the namespace's own addresses are given to one transparent listener (TPROXY), which
//! sees the original destination as its own address.
//!
//! Structures and constants: linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h,
//! linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::facts::{DNS_PORT, TRANSPARENT_PORT};

/// Messages for one socket. The kernel answers every one that it refuses, and the last one that it
/// accepts: only that one asks for an acknowledgement, as each costs a message back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) bytes: Vec<u8>,
}

/// The namespace's own global addresses: inside the ranges of RFC 2544 and RFC 4193, at the end, so
/// that synthetic addresses for names can count from the start.
pub(crate) const OWN_V4: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
pub(crate) const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5b00, 0, 0, 0, 0, 0xffff, 0xfffe);

/// `lo` is the first interface of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The loopback interface, IPv4 and (where the kernel has it) IPv6.
pub(crate) fn interface_v4() -> Conversation {
    let mut messages = Messages::default();
    messages.add(RTM_NEWLINK, 0, |message| {
        // struct ifinfomsg: family, padding, type, index, flags, change mask (IFF_UP).
        message.bytes(&[AF_UNSPEC, 0, 0, 0]);
        message.native(LOOPBACK_INDEX);
        message.native(1);
        message.native(1);
    });
    messages.address(AF_INET, 32, &OWN_V4.octets());
    messages.local_route(AF_INET, &Ipv4Addr::LOCALHOST.octets());
    messages.finish()
}

/// The IPv6 half, apart because a kernel may run without IPv6.
pub(crate) fn interface_v6() -> Conversation {
    let mut messages = Messages::default();
    messages.address(AF_INET6, 128, &OWN_V6.octets());
    messages.local_route(AF_INET6, &Ipv6Addr::LOCALHOST.octets());
    messages.finish()
}

const NFT_SUBSYSTEM: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = NFT_SUBSYSTEM << 8;
const NFT_MSG_NEWCHAIN: u16 = NFT_SUBSYSTEM << 8 | 3;
const NFT_MSG_NEWRULE: u16 = NFT_SUBSYSTEM << 8 | 6;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFPROTO_INET: u8 = 1;

/// `NF_INET_PRE_ROUTING`, and the priority of TPROXY rules (`NF_IP_PRI_MANGLE`).
const HOOK_PREROUTING: u32 = 0;
const PRIORITY_MANGLE: i32 = -150;

const TABLE: &[u8] = b"srt\0";
const CHAIN: &[u8] = b"transparent\0";

/// The rules that lead connections to the transparent listener.
pub(crate) fn redirection() -> Conversation {
    let mut messages = Messages::default();
    messages.batch(NFNL_MSG_BATCH_BEGIN);
    messages.add_nft(NFT_MSG_NEWTABLE, NLM_F_CREATE, |message| {
        message.attribute(1, TABLE)
    });
    messages.add_nft(NFT_MSG_NEWCHAIN, NLM_F_CREATE, |message| {
        message.attribute(1, TABLE);
        message.attribute(3, CHAIN);
        message.nested(4, |hook| {
            hook.attribute(1, &HOOK_PREROUTING.to_be_bytes());
            hook.attribute(2, &PRIORITY_MANGLE.to_be_bytes());
        });
        message.attribute(7, b"filter\0");
    });
    // The namespace's own addresses are its own business.
    messages.rule(|rule| {
        rule.family_is(AF_INET)
            .network_field_is(16, &[127])
            .accept()
    });
    messages.rule(|rule| {
        rule.family_is(AF_INET6)
            .network_field_is(24, &Ipv6Addr::LOCALHOST.octets())
            .accept()
    });
    messages.rule(|rule| {
        rule.family_is(AF_INET)
            .network_field_is(16, &OWN_V4.octets())
            .accept()
    });
    messages.rule(|rule| {
        rule.family_is(AF_INET6)
            .network_field_is(24, &OWN_V6.octets())
            .accept()
    });
    // Name servers are played by sockets that listen on all addresses.
    messages.rule(|rule| rule.protocol_is_tcp().tcp_port_is(DNS_PORT).accept());
    messages.rule(|rule| {
        rule.protocol_is_tcp()
            .transparent_proxy(TRANSPARENT_PORT)
            .accept()
    });
    messages.batch(NFNL_MSG_BATCH_END);
    messages.finish()
}

/// A sequence of messages under construction.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    /// Where the flags of the last message that can be acknowledged are.
    last_flags: usize,
}

impl Messages {
    fn finish(mut self) -> Conversation {
        let flags = self.bytes.get_mut(self.last_flags..);
        if let Some([first, second, ..]) = flags {
            let asks = u16::from_ne_bytes([*first, *second]) | NLM_F_ACK;
            [*first, *second] = asks.to_ne_bytes();
        }
        Conversation { bytes: self.bytes }
    }

    fn add(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Body)) {
        // struct nlmsghdr: the flags come after length (4 bytes) and type (2).
        self.last_flags = self.bytes.len() + 6;
        self.push(kind, flags | NLM_F_REQUEST, body);
    }

    fn push(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Body)) {
        let mut message = Body(Vec::new());
        body(&mut message);
        let length = u32::try_from(message.0.len() + 16).unwrap_or(0);
        // struct nlmsghdr: length, type, flags, sequence, port.
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend([0; 8]);
        self.bytes.extend(message.0);
    }

    fn address(&mut self, family: u8, prefix: u8, address: &[u8]) {
        /// IPv6 addresses are usable at once, without duplicate address detection.
        const IFA_F_NODAD: u8 = 2;
        self.add(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, |message| {
            // struct ifaddrmsg: family, prefix length, flags, scope (universe), index.
            message.bytes(&[family, prefix, IFA_F_NODAD, 0]);
            message.native(LOOPBACK_INDEX);
            message.attribute(2, address);
            message.attribute(1, address);
        });
    }

    /// `local default dev lo`: every address is ours. Without a preferred source the source would be
    /// the destination itself.
    fn local_route(&mut self, family: u8, source: &[u8]) {
        const RT_TABLE_LOCAL: u8 = 255;
        const RTPROT_STATIC: u8 = 4;
        const RT_SCOPE_HOST: u8 = 254;
        const RTN_LOCAL: u8 = 2;
        self.add(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, |message| {
            // struct rtmsg: family, prefix lengths, tos, table, protocol, scope, type, flags.
            message.bytes(&[family, 0, 0, 0]);
            message.bytes(&[RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL]);
            message.native(0);
            message.attribute(4, &LOOPBACK_INDEX.to_ne_bytes());
            message.attribute(7, source);
        });
    }

    fn batch(&mut self, kind: u16) {
        self.push(kind, NLM_F_REQUEST, |message| {
            message.bytes(&[AF_UNSPEC, 0]);
            message.bytes(&NFT_SUBSYSTEM.to_be_bytes());
        });
    }

    fn add_nft(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Body)) {
        self.add(kind, flags, |message| {
            // struct nfgenmsg: family, version, resource.
            message.bytes(&[NFPROTO_INET, 0, 0, 0]);
            body(message);
        });
    }

    fn rule(&mut self, expressions: impl FnOnce(Expressions) -> Expressions) {
        let expressions = expressions(Expressions(Body(Vec::new())));
        self.add_nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, |message| {
            message.attribute(1, TABLE);
            message.attribute(2, CHAIN);
            message.nested(4, |list| list.bytes(&expressions.0.0));
        });
    }
}

/// A message's body: fixed fields, then attributes.
struct Body(Vec<u8>);

impl Body {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn native(&mut self, value: u32) {
        self.bytes(&value.to_ne_bytes());
    }

    /// struct nlattr: length, type; the payload is padded to four bytes.
    fn attribute(&mut self, kind: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len() + 4).unwrap_or(0);
        self.bytes(&length.to_ne_bytes());
        self.bytes(&kind.to_ne_bytes());
        self.bytes(payload);
        let padding = payload.len().next_multiple_of(4) - payload.len();
        self.0.resize(self.0.len() + padding, 0);
    }

    fn nested(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        const NLA_F_NESTED: u16 = 0x8000;
        let mut inner = Self(Vec::new());
        content(&mut inner);
        self.attribute(kind | NLA_F_NESTED, &inner.0);
    }
}

/// The expressions of one rule; register 1 carries values between them.
struct Expressions(Body);

const REGISTER: [u8; 4] = 1_u32.to_be_bytes();

impl Expressions {
    fn push(mut self, name: &[u8], data: impl FnOnce(&mut Body)) -> Self {
        self.0.nested(1, |element| {
            element.attribute(1, name);
            element.nested(2, data);
        });
        self
    }

    fn equals(self, value: &[u8]) -> Self {
        const CMP_EQ: [u8; 4] = 0_u32.to_be_bytes();
        self.push(b"cmp\0", |data| {
            data.attribute(1, &REGISTER);
            data.attribute(2, &CMP_EQ);
            data.nested(3, |operand| operand.attribute(1, value));
        })
    }

    fn meta(self, key: u32) -> Self {
        self.push(b"meta\0", |data| {
            data.attribute(1, &REGISTER);
            data.attribute(2, &key.to_be_bytes());
        })
    }

    fn payload(self, base: u32, offset: u32, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(0);
        self.push(b"payload\0", |data| {
            data.attribute(1, &REGISTER);
            data.attribute(2, &base.to_be_bytes());
            data.attribute(3, &offset.to_be_bytes());
            data.attribute(4, &length.to_be_bytes());
        })
    }

    fn family_is(self, family: u8) -> Self {
        const META_NFPROTO: u32 = 15;
        // The values of NFPROTO_IPV4 and NFPROTO_IPV6 are those of the address families.
        self.meta(META_NFPROTO).equals(&[family])
    }

    fn protocol_is_tcp(self) -> Self {
        const META_L4PROTO: u32 = 16;
        const IPPROTO_TCP: u8 = 6;
        self.meta(META_L4PROTO).equals(&[IPPROTO_TCP])
    }

    fn network_field_is(self, offset: u32, value: &[u8]) -> Self {
        const NETWORK_HEADER: u32 = 1;
        self.payload(NETWORK_HEADER, offset, value.len())
            .equals(value)
    }

    fn tcp_port_is(self, port: u16) -> Self {
        const TRANSPORT_HEADER: u32 = 2;
        self.payload(TRANSPORT_HEADER, 2, 2)
            .equals(&port.to_be_bytes())
    }

    fn transparent_proxy(self, port: u16) -> Self {
        self.push(b"immediate\0", |data| {
            data.attribute(1, &REGISTER);
            data.nested(2, |value| value.attribute(1, &port.to_be_bytes()));
        })
        // Without a family attribute's value the rule serves both.
        .push(b"tproxy\0", |data| {
            data.attribute(1, &0_u32.to_be_bytes());
            data.attribute(3, &REGISTER);
        })
    }

    fn accept(self) -> Self {
        const VERDICT_REGISTER: [u8; 4] = 0_u32.to_be_bytes();
        const NF_ACCEPT: [u8; 4] = 1_u32.to_be_bytes();
        self.push(b"immediate\0", |data| {
            data.attribute(1, &VERDICT_REGISTER);
            data.nested(2, |value| {
                value.nested(2, |verdict| verdict.attribute(1, &NF_ACCEPT))
            });
        })
    }
}
