//! Hosts that one command may reach besides those of the policy.

use sandbox_policy::{DomainPattern, DomainRule, Origin as RuleOrigin};
use sandbox_proxy::Proxy;

use crate::support::{Origin, Setup, dial, listener, read_head, status};

fn rules(hosts: &[&str]) -> Vec<DomainRule> {
    let rule = |text: &&str| DomainRule {
        pattern: DomainPattern::parse_allow(text).unwrap(),
        origin: RuleOrigin::Program,
        note: None,
    };
    hosts.iter().map(rule).collect()
}

/// The status of a CONNECT through a proxy.
async fn connected(proxy: &Proxy, authority: &str) -> u16 {
    use tokio::io::AsyncWriteExt as _;
    let (http, address) = listener().await;
    tokio::spawn(proxy.serve_http(http));
    let mut stream = dial(address).await;
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    status(&read_head(&mut stream).await)
}

#[tokio::test]
async fn they_come_after_all_rules_of_the_policy() {
    let origin = Origin::echo().await;
    let ok = format!("ok.test:{}", origin.port());
    let denied = format!("denied.test:{}", origin.port());
    let mut setup = Setup::allowing(&[]);
    setup.deny.push(("denied.test".to_owned(), None));
    let common = setup.start().await;
    let proxy = common
        .proxy
        .with_besides(rules(&["ok.test", "denied.test"]));
    assert_eq!(connected(&proxy, &ok).await, 200);
    assert_eq!(connected(&proxy, &denied).await, 403);
    assert_eq!(connected(&common.proxy, &ok).await, 403);
    // Changed rules are changed for both, and a strict list is strict.
    let mut strict = Setup::allowing(&[]);
    strict.strict = true;
    common.proxy.replace_policy(strict.policy());
    assert_eq!(connected(&proxy, &ok).await, 403);
    common.proxy.replace_policy(Setup::allowing(&[]).policy());
    assert_eq!(connected(&proxy, &ok).await, 200);
    // Where a name leads is judged by the policy.
    common.proxy.replace_policy(Setup::exactly(&[]).policy());
    assert_eq!(connected(&proxy, &ok).await, 403);
    assert_eq!(origin.accepted().await, 2);
}
