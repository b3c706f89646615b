//! The schema, seen through the exit code.

use sandbox_tests::{Bed, Subject, subject};
use serde_json::{Value, json};

use crate::{Case, usual};

fn accepted(settings: &Value) {
    let bed = Bed::new();
    bed.srt().flat(settings).args(["true"]).run().ok();
}

fn rejected(settings: &Value) {
    let bed = Bed::new();
    let code = if subject() == Subject::Ours { 125 } else { 1 };
    bed.srt().flat(settings).args(["true"]).run().exits(code);
}

fn domains(list: &[&str]) -> Value {
    let mut settings = usual();
    settings["network"]["allowedDomains"] = json!(list);
    settings
}

fn with(pointer: &str, key: &str, value: &Value) -> Value {
    let mut settings = usual();
    settings.pointer_mut(pointer).unwrap()[key] = value.clone();
    settings
}

pub(crate) const CASES: &[Case] = &[
    ("config: minimal", || {
        accepted(&json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
        }));
    }),
    ("config: valid domains", || {
        accepted(&domains(&["example.com", "*.github.com", "localhost"]))
    }),
    ("config: single label rejected", || {
        rejected(&domains(&["not-a-domain"]))
    }),
    ("config: domain with protocol rejected", || {
        rejected(&domains(&["https://example.com"]))
    }),
    ("config: empty path rejected", || {
        for key in ["denyRead", "allowWrite", "denyWrite"] {
            rejected(&with("/filesystem", key, &json!([""])));
        }
    }),
    ("config: optional fields", || {
        let mut settings = with(
            "/network",
            "allowUnixSockets",
            &json!(["/var/run/docker.sock"]),
        );
        settings["network"]["allowAllUnixSockets"] = json!(false);
        settings["network"]["allowLocalBinding"] = json!(true);
        settings["ignoreViolations"] = json!({"*": ["/usr/bin"], "git push": ["/etc"]});
        settings["enableWeakerNestedSandbox"] = json!(true);
        accepted(&settings);
    }),
    ("config: missing required fields rejected", || {
        rejected(&json!({"network": {"allowedDomains": [], "deniedDomains": []}}));
        rejected(&json!({"filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []}}));
        rejected(&json!({"network": {"allowedDomains": []}, "filesystem": {"denyRead": []}}));
    }),
    ("config: wildcards accepted", || {
        accepted(&domains(&["*.example.com", "*.github.io", "*.co.uk"]))
    }),
    ("config: wide wildcards rejected", || {
        for pattern in ["*example.com", "*.com", "*."] {
            rejected(&domains(&[pattern]));
        }
    }),
    ("config: ripgrep command", || {
        accepted(&with("", "ripgrep", &json!({"command": "/usr/bin/true"})))
    }),
    ("config: ripgrep command and arguments", || {
        accepted(&with(
            "",
            "ripgrep",
            &json!({"command": "/usr/bin/true", "args": ["--rg"]}),
        ));
    }),
    ("config: proxy ports", || {
        for port in [1, 3128, 65535] {
            accepted(&with("/network", "httpProxyPort", &json!(port)));
            accepted(&with("/network", "socksProxyPort", &json!(port)));
        }
        for port in [json!(0), json!(65536), json!("80"), json!(1.5)] {
            rejected(&with("/network", "httpProxyPort", &port));
        }
    }),
];
