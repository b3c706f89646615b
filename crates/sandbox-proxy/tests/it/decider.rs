//! Targets that no rule decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbox_policy::Target;
use sandbox_proxy::{BoxFuture, Decide, Decision};

use crate::support::{Origin, Setup, SocksHost, status};

/// What the decider does, by name.
struct ByName {
    asked: AtomicUsize,
}

impl Decide for ByName {
    fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let name = target.host.to_string();
        Box::pin(async move {
            match name.as_str() {
                "ok.test" => Decision::Approve,
                "denied.test" => Decision::Refuse(Some("not today".to_owned())),
                "other.test" => Decision::Refuse(None),
                "sub.ok.test" => panic!("the prompt broke"),
                _ => std::future::pending().await,
            }
        })
    }
}

#[tokio::test]
async fn only_an_approval_in_time_permits() {
    let origin = Origin::echo().await;
    let decider = Arc::new(ByName {
        asked: AtomicUsize::new(0),
    });
    let mut setup = Setup::allowing(&[]);
    setup.decider = Some(decider.clone());
    setup.config.decision_timeout = Duration::from_millis(100);
    let proxy = setup.start().await;
    let port = origin.port();
    for (host, phrase) in [
        ("denied.test", "not today"),
        ("other.test", "user denied"),
        ("sub.ok.test", "permission prompt failed"),
        ("silent.test", "nobody answered the permission prompt"),
    ] {
        let (head, _stream) = proxy.connect(&format!("{host}:{port}")).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 403 {phrase}\r\n")),
            "{head}"
        );
        let request = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&proxy.http_exchange(request.as_bytes()).await), 403);
        let (reply, _stream) = proxy
            .socks_connect(&SocksHost::Name(host.as_bytes()), port)
            .await;
        assert_eq!(reply, 2);
    }
    assert_eq!(decider.asked.load(Ordering::SeqCst), 12);
    assert_eq!(proxy.resolver.count(), 0);
    assert_eq!(origin.accepted().await, 0);
    let (head, _stream) = proxy.connect(&format!("ok.test:{port}")).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn a_strict_list_and_a_rule_are_not_asked_about() {
    let origin = Origin::echo().await;
    let decider = Arc::new(ByName {
        asked: AtomicUsize::new(0),
    });
    let mut setup = Setup::allowing(&["other.test"]);
    setup.strict = true;
    setup.decider = Some(decider.clone());
    let proxy = setup.start().await;
    let (head, _stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert_eq!(status(&head), 403);
    assert_eq!(origin.accepted().await, 0);
    let (head, _stream) = proxy
        .connect(&format!("other.test:{}", origin.port()))
        .await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
    assert_eq!(decider.asked.load(Ordering::SeqCst), 0);
}
