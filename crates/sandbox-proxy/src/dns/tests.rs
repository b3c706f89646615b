//! Bytes in, bytes out.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else arrives fails the test"
)]

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::A},
    serialize::binary::{BinDecodable, BinEncodable},
};
use sandbox_policy::{
    DenialReason, DomainPattern, DomainRule, NetworkPolicy, Origin as RuleOrigin, OwnAddresses,
};

use super::*;
use crate::{BoxFuture, Decide, Decision, EventReceiver, EventSink, Resolve};

/// Must not be asked: nothing that a name service does may look a name up.
struct Unasked;

impl Resolve for Unasked {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        panic!("{name} was looked up");
    }
}

impl Decide for Unasked {
    fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision> {
        panic!("{target} was asked about");
    }
}

struct Setup {
    service: NameService,
    gate: Gate,
    events: EventReceiver,
}

impl Setup {
    fn new(allowed: &[&str], denied: &[&str], decider: bool) -> Self {
        let rules = |texts: &[&str]| -> Vec<_> {
            let rule = |text: &&str| DomainRule {
                pattern: DomainPattern::parse_deny(text).unwrap(),
                origin: RuleOrigin::Program,
                note: None,
            };
            texts.iter().map(rule).collect()
        };
        let policy = NetworkPolicy::new(rules(allowed), rules(denied), Vec::new());
        let (sink, events) = EventSink::channel(64);
        let decider = decider.then(|| Arc::new(Unasked) as Arc<dyn Decide>);
        let own = OwnAddresses(Vec::new()).into();
        Self {
            service: NameService::new(),
            gate: Gate::new(Arc::new(policy), own, Arc::new(Unasked), decider, sink),
            events,
        }
    }

    fn send(&self, message: &[u8]) -> Option<Vec<u8>> {
        let client = Client { port: 7 };
        let reply = self
            .service
            .answer(message, Transport::Datagram, &self.gate, client)?;
        match reply {
            Reply::Ready(answer) => Some(answer.bytes),
            // The test's resolver has nobody to ask.
            Reply::Pending(pending) => pending.finish(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Whether name servers are asked.
    fn is_pending(&self, name: &str, wanted: RecordType) -> bool {
        let message = query(name, wanted).to_bytes().unwrap();
        let client = Client { port: 7 };
        let reply = self
            .service
            .answer(&message, Transport::Datagram, &self.gate, client);
        matches!(reply, Some(Reply::Pending(_)))
    }

    fn ask(&self, name: &str, wanted: RecordType) -> Message {
        let reply = self.send(&query(name, wanted).to_bytes().unwrap()).unwrap();
        assert!(reply.len() <= 512, "fits where nothing was negotiated");
        Message::from_bytes(&reply).unwrap()
    }

    /// The addresses of a name.
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let replies = [RecordType::A, RecordType::AAAA].map(|wanted| self.ask(name, wanted));
        let records = replies.iter().flat_map(|reply| &reply.answers);
        records
            .map(|record| match &record.data {
                RData::A(address) => IpAddr::V4(address.0),
                RData::AAAA(address) => IpAddr::V6(address.0),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn denials(&mut self) -> Vec<(DenialReason, String)> {
        std::iter::from_fn(|| self.events.try_recv())
            .map(|event| {
                assert_eq!(event.front_end, FrontEnd::Dns);
                assert_eq!(event.client_port, 7);
                assert_eq!(event.target, None);
                match event.outcome {
                    Outcome::Denied(denial) => (denial.reason, denial.object),
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }
}

fn query(name: &str, wanted: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(name).unwrap();
    message.add_query(Query::query(name, wanted));
    message
}

fn code(reply: &Message) -> ResponseCode {
    reply.metadata.response_code
}

#[test]
fn a_permitted_name_has_an_address_of_each_family_that_leads_back_to_it() {
    let mut setup = Setup::new(&["ok.test:443", "*.wild.test"], &["bad.wild.test"], false);
    for name in ["ok.test", "a.wild.test", "b.a.wild.test"] {
        let addresses = setup.addresses(&format!("{name}."));
        assert!(
            matches!(addresses[..], [IpAddr::V4(_), IpAddr::V6(_)]),
            "{addresses:?}"
        );
        for address in &addresses {
            let Origin::Name(origin) = setup.service.origin(*address) else {
                panic!("{address} leads nowhere");
            };
            assert_eq!(origin.as_str(), name);
        }
        assert_eq!(setup.addresses(&format!("{name}.")), addresses);
        assert_eq!(
            setup.addresses(&format!("{}.", name.to_uppercase())),
            addresses
        );
    }
    assert_eq!(setup.denials(), []);
}

#[test]
fn refused_names_do_not_exist_and_each_is_told_once() {
    let mut setup = Setup::new(
        &["ok.test", "*.wild.test", "port.test"],
        &["bad.wild.test", "port.test:80"],
        false,
    );
    let refused = [
        (DenialReason::HostDenied, "bad.wild.test"),
        (DenialReason::HostNotAllowed, "wild.test"),
        (DenialReason::HostNotAllowed, "other.test"),
        (DenialReason::HostNotAllowed, "ok"),
        (DenialReason::HostNotAllowed, "ok.test.search.example"),
        (DenialReason::HostNotAllowed, "10.in-addr.arpa.test"),
        (DenialReason::MalformedHost, "10.0.0.1"),
        (DenialReason::MalformedHost, "0x7f.1"),
        (DenialReason::MalformedHost, "*.test"),
    ];
    for (_, name) in refused {
        for wanted in [
            RecordType::A,
            RecordType::AAAA,
            RecordType::TXT,
            RecordType::SRV,
        ] {
            let reply = setup.ask(&format!("{name}."), wanted);
            assert_eq!(code(&reply), ResponseCode::NXDomain, "{name}");
            assert!(reply.answers.is_empty());
            assert!(
                matches!(reply.authorities[..], [ref soa] if soa.record_type() == RecordType::SOA)
            );
        }
    }
    let told = setup.denials();
    assert_eq!(
        told,
        refused.map(|(reason, name)| (reason, name.to_owned()))
    );
    // Another port of it is permitted.
    assert_eq!(setup.addresses("port.test.").len(), 2);
}

#[test]
fn a_label_with_a_dot_is_not_two_labels() {
    let mut setup = Setup::new(&["ok.test"], &[], false);
    for labels in [
        &[&b"ok.test"[..]][..],
        &[b"ok", b"te\0st"],
        &[b"\xc3\xa9", b"test"],
        &[b"ok test"],
    ] {
        let mut message = query(".", RecordType::A);
        message.queries[0].set_name(Name::from_labels(labels.iter().copied()).unwrap());
        let reply = setup.send(&message.to_bytes().unwrap()).unwrap();
        assert_eq!(
            code(&Message::from_bytes(&reply).unwrap()),
            ResponseCode::NXDomain
        );
    }
    let root = setup.ask(".", RecordType::NS);
    assert_eq!(code(&root), ResponseCode::NXDomain);
    let denials = setup.denials();
    assert_eq!(denials.len(), 5);
    assert!(
        denials
            .iter()
            .all(|(reason, _)| *reason == DenialReason::MalformedHost)
    );
}

#[test]
fn what_only_a_decider_can_permit_has_an_address_if_there_is_one() {
    let mut with = Setup::new(&[], &["bad.test"], true);
    assert_eq!(with.addresses("any.test.").len(), 2);
    assert_eq!(with.addresses("bad.test."), [] as [IpAddr; 0]);
    assert_eq!(
        with.denials(),
        [(DenialReason::HostDenied, "bad.test".to_owned())]
    );
    let mut without = Setup::new(&[], &[], false);
    assert_eq!(without.addresses("any.test."), [] as [IpAddr; 0]);
    assert_eq!(
        without.denials(),
        [(DenialReason::HostNotAllowed, "any.test".to_owned())]
    );
}

#[test]
fn localhost_is_loopback_whatever_the_policy_lists() {
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for (allowed, denied) in [
        (vec![], vec![]),
        (vec!["localhost:5432"], vec![]),
        (vec![], vec!["*"]),
    ] {
        let mut setup = Setup::new(&allowed, &denied, false);
        for name in ["localhost.", "LOCALHOST.", "a.localhost."] {
            assert_eq!(setup.addresses(name), loopback);
        }
        let reply = setup.ask("localhost.", RecordType::MX);
        assert_eq!(
            (code(&reply), reply.answers.len()),
            (ResponseCode::NoError, 0)
        );
        assert_eq!(setup.denials(), []);
    }
}

#[test]
fn other_types_of_a_permitted_name_are_no_data() {
    let setup = Setup::new(&["ok.test"], &[], false);
    for wanted in [
        RecordType::TXT,
        RecordType::MX,
        RecordType::SRV,
        RecordType::HTTPS,
        RecordType::CNAME,
        RecordType::PTR,
        RecordType::Unknown(65_000),
    ] {
        let reply = setup.ask("ok.test.", wanted);
        assert_eq!(code(&reply), ResponseCode::NoError, "{wanted}");
        assert!(reply.answers.is_empty());
        assert!(matches!(reply.authorities[..], [ref soa] if soa.record_type() == RecordType::SOA));
    }
    assert_eq!(setup.ask("ok.test.", RecordType::ANY).answers.len(), 2);
}

#[test]
fn addresses_lead_back_to_names_by_ptr() {
    let mut setup = Setup::new(&["ok.test"], &[], false);
    let pointer = |address: IpAddr| Name::from(address).to_ascii();
    let name_of = |setup: &Setup, address: IpAddr| {
        let reply = setup.ask(&pointer(address), RecordType::PTR);
        match &reply.answers[..] {
            [] => Err(code(&reply)),
            [answer] => match &answer.data {
                RData::PTR(name) => Ok(name.0.to_ascii()),
                other => panic!("{other:?}"),
            },
            more => panic!("{more:?}"),
        }
    };
    for address in setup.addresses("ok.test.") {
        assert_eq!(name_of(&setup, address), Ok("ok.test.".to_owned()));
    }
    for loopback in ["127.0.0.1", "::1"] {
        assert_eq!(
            name_of(&setup, loopback.parse().unwrap()),
            Ok("localhost.".to_owned())
        );
    }
    for other in [
        "8.8.8.8",
        "198.18.9.9",
        "198.19.255.254",
        "fd00:5b00::99",
        "2001:db8::1",
    ] {
        let answer = name_of(&setup, other.parse().unwrap());
        assert_eq!(answer, Err(ResponseCode::NXDomain), "{other}");
    }
    let zone = setup.ask("18.198.in-addr.arpa.", RecordType::PTR);
    assert_eq!(code(&zone), ResponseCode::NXDomain);
    // Programs look every address up that they meet: that is no attempt to reach anything.
    assert_eq!(setup.denials(), []);
}

#[test]
fn the_answer_repeats_id_question_letter_case_and_flags() {
    let setup = Setup::new(&["ok.test"], &[], false);
    for recursion_desired in [true, false] {
        let mut message = query("oK.TeSt.", RecordType::A);
        message.metadata.recursion_desired = recursion_desired;
        message.metadata.checking_disabled = true;
        let reply = setup.send(&message.to_bytes().unwrap()).unwrap();
        let reply = Message::from_bytes(&reply).unwrap();
        assert_eq!(reply.metadata.id, 0x1234);
        assert_eq!(reply.metadata.message_type, MessageType::Response);
        assert_eq!(reply.metadata.recursion_desired, recursion_desired);
        assert!(reply.metadata.recursion_available);
        assert!(reply.metadata.checking_disabled);
        assert!(!reply.metadata.authentic_data && !reply.metadata.truncation);
        assert_eq!(reply.queries, message.queries);
        let asked = Name::from_ascii("oK.TeSt.").unwrap();
        assert!(reply.queries[0].name().eq_case(&asked));
        assert!(reply.answers[0].name.eq_case(&asked));
        assert_eq!(reply.answers[0].dns_class, DNSClass::IN);
        assert!((1..=300).contains(&reply.answers[0].ttl));
        assert_eq!(reply.edns, None);
    }
}

#[test]
fn options_are_answered_with_options() {
    let setup = Setup::new(&["ok.test"], &[], false);
    let mut message = query("ok.test.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    message.set_edns(edns.clone());
    let exchange = |message: &Message| {
        let reply = setup.send(&message.to_bytes().unwrap()).unwrap();
        Message::from_bytes(&reply).unwrap()
    };
    let reply = exchange(&message);
    let options = reply.edns.as_ref().unwrap();
    assert_eq!((options.version(), options.max_payload()), (0, 1232));
    assert!(options.flags().dnssec_ok);
    assert_eq!(reply.answers.len(), 1);

    edns.set_version(1);
    message.set_edns(edns);
    let reply = exchange(&message);
    // 16 is BADSIG too, where there is a signature.
    assert_eq!(u16::from(code(&reply)), u16::from(ResponseCode::BADVERS));
    assert_eq!(reply.edns.as_ref().unwrap().version(), 0);
    assert!(reply.answers.is_empty());
}

#[test]
fn the_longest_name_is_answered_in_512_bytes() {
    let longest = format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "b".repeat(61));
    let setup = Setup::new(&[longest.trim_end_matches('.')], &[], false);
    assert_eq!(setup.addresses(&longest).len(), 2);
    assert_eq!(setup.ask(&longest, RecordType::TXT).authorities.len(), 1);
    let address = setup.addresses(&longest)[1];
    let reply = setup.ask(&Name::from(address).to_ascii(), RecordType::PTR);
    assert_eq!(reply.answers.len(), 1);
}

#[test]
fn what_is_no_query_gets_an_error_or_silence() {
    let mut setup = Setup::new(&["ok.test"], &[], false);
    let good = query("ok.test.", RecordType::A).to_bytes().unwrap();
    let reply_code = |message: &[u8]| {
        let reply = setup.send(message)?;
        assert_eq!(reply[..2], message[..2]);
        let reply = Message::from_bytes(&reply).unwrap();
        assert_eq!(reply.metadata.message_type, MessageType::Response);
        Some(code(&reply))
    };
    for length in 0..good.len() {
        let expected = (length >= 12).then_some(ResponseCode::FormErr);
        assert_eq!(reply_code(&good[..length]), expected, "{length} bytes");
    }
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = query("ok.test.", RecordType::A);
        change(&mut message);
        message.to_bytes().unwrap()
    };
    let answer = || Record::from_rdata(Name::root(), 1, RData::A(A(Ipv4Addr::LOCALHOST)));
    let question = || Query::query(Name::root(), RecordType::A);
    type Change<'a> = &'a dyn Fn(&mut Message);
    let table: [(Change<'_>, Option<ResponseCode>); 11] = [
        (&|_| {}, Some(ResponseCode::NoError)),
        (
            &|message| message.metadata.message_type = MessageType::Response,
            None,
        ),
        (
            &|message| message.metadata.op_code = OpCode::Status,
            Some(ResponseCode::NotImp),
        ),
        (
            &|message| message.metadata.op_code = OpCode::Update,
            Some(ResponseCode::NotImp),
        ),
        (
            &|message| message.metadata.op_code = OpCode::Unknown(9),
            Some(ResponseCode::NotImp),
        ),
        (
            &|message| message.queries.clear(),
            Some(ResponseCode::FormErr),
        ),
        (
            &|message| message.queries.push(question()),
            Some(ResponseCode::FormErr),
        ),
        (
            &|message| message.answers.push(answer()),
            Some(ResponseCode::FormErr),
        ),
        (
            &|message| message.authorities.push(answer()),
            Some(ResponseCode::FormErr),
        ),
        // A record of no use is passed over.
        (
            &|message| message.additionals.push(answer()),
            Some(ResponseCode::NoError),
        ),
        (
            &|message| {
                message.queries[0].set_query_class(DNSClass::CH);
            },
            Some(ResponseCode::Refused),
        ),
    ];
    for (row, (change, expected)) in table.into_iter().enumerate() {
        assert_eq!(reply_code(&with(change)), expected, "row {row}");
    }
    // A name that points to itself, and counts without records.
    assert_eq!(
        reply_code(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01"),
        Some(ResponseCode::FormErr)
    );
    assert_eq!(
        reply_code(b"\x12\x34\x01\0\xff\xff\xff\xff\xff\xff\xff\xff"),
        Some(ResponseCode::FormErr)
    );
    assert_eq!(setup.denials(), []);
}

/// No sequence of bytes may panic, and what is answered is an answer.
#[test]
fn mutated_queries_are_answered_or_not_but_never_panic() {
    let setup = Setup::new(&["ok.test"], &[], false);
    let mut message = query("www.ok.test.", RecordType::A);
    message.set_edns(Edns::new());
    let good = message.to_bytes().unwrap();
    // xorshift64: the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..=next() % 4 {
            let place = next() % bytes.len();
            bytes[place] = u8::try_from(next() % 256).unwrap();
        }
        bytes.truncate(bytes.len() - (next() % 8).saturating_sub(4));
        if let Some(reply) = setup.send(&bytes) {
            assert!(reply.len() <= 512);
            Message::from_bytes(&reply).unwrap();
        }
    }
}

#[test]
fn name_servers_are_asked_about_listed_names_alone() {
    let setup = Setup::new(&["ok.test", "*.wild.test"], &["bad.wild.test"], true);
    for (name, wanted) in [
        ("ok.test.", RecordType::TXT),
        ("OK.test.", RecordType::MX),
        ("ok.test.", RecordType::HTTPS),
        ("ok.test.", RecordType::CAA),
        ("ok.test.", RecordType::NAPTR),
        ("ok.test.", RecordType::Unknown(256)),
        ("_mongodb._tcp.ok.test.", RecordType::SRV),
        ("_dmarc.ok.test.", RecordType::TXT),
        ("_8443._https.a.wild.test.", RecordType::HTTPS),
    ] {
        assert!(setup.is_pending(name, wanted), "{name} {wanted}");
    }
    for (name, wanted) in [
        ("ok.test.", RecordType::A),
        ("ok.test.", RecordType::AAAA),
        ("ok.test.", RecordType::ANY),
        ("ok.test.", RecordType::AXFR),
        ("ok.test.", RecordType::DNSKEY),
        ("ok.test.", RecordType::Unknown(45)),
        ("localhost.", RecordType::TXT),
        ("_x.localhost.", RecordType::TXT),
        ("bad.wild.test.", RecordType::TXT),
        ("_x._tcp.bad.wild.test.", RecordType::SRV),
        // The decider may permit it once the port is known; the name must not leave before.
        ("secret.other.test.", RecordType::TXT),
        ("_tcp.other.test.", RecordType::SRV),
        // No form of a service's name.
        ("secret.ok.test.", RecordType::TXT),
        ("_a._b._c.ok.test.", RecordType::SRV),
        ("_sixteen-letters-.ok.test.", RecordType::SRV),
        ("_under_score.ok.test.", RecordType::SRV),
        ("_.ok.test.", RecordType::SRV),
    ] {
        assert!(!setup.is_pending(name, wanted), "{name} {wanted}");
    }
}

/// What name servers say is no more trusted than what programs ask.
#[test]
fn mutated_answers_of_name_servers_are_told_or_not_but_never_panic() {
    let setup = Setup::new(&["ok.test"], &[], false);
    let owner = Name::from_ascii("ok.test.").unwrap();
    let hints = [
        b"\0\x01\0".to_vec(),
        b"\0\0\0\x04\0\x01\0\x04".to_vec(),
        b"\0\x01\0\x03\x02h2".to_vec(),
        b"\0\x04\0\x04\xcb\0\x71\x07".to_vec(),
    ]
    .concat();
    let mut good = query("ok.test.", RecordType::HTTPS).to_bytes().unwrap();
    good[2] |= 0x80;
    good[7] = 1;
    good.extend(owner.to_bytes().unwrap());
    good.extend(b"\0\x41\0\x01\0\0\0\x3c");
    good.extend(u16::try_from(hints.len()).unwrap().to_be_bytes());
    good.extend(hints);
    let finish = |answer: &[u8]| {
        let message = query("ok.test.", RecordType::HTTPS).to_bytes().unwrap();
        let client = Client { port: 7 };
        let transport = Transport::Datagram;
        let reply = setup
            .service
            .answer(&message, transport, &setup.gate, client);
        match reply {
            Some(Reply::Pending(pending)) => pending.finish(Ok(answer.to_vec())).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let told = Message::from_bytes(&finish(&good)).unwrap();
    assert_eq!(
        (code(&told), told.answers.len()),
        (ResponseCode::NoError, 1)
    );
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..=next() % 4 {
            let place = next() % bytes.len();
            bytes[place] = u8::try_from(next() % 256).unwrap();
        }
        bytes.truncate(bytes.len() - (next() % 8).saturating_sub(4));
        let reply = finish(&bytes);
        assert!(reply.len() <= 512);
        let reply = Message::from_bytes(&reply).unwrap();
        assert_eq!((reply.metadata.id, reply.additionals.len()), (0x1234, 0));
    }
}
