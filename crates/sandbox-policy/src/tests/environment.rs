//! The variables that lead to the proxies.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use crate::{
    AbsolutePath, BASIC_VARIABLES, EnvironmentPolicy, Firmness, HostPort, LayerId, Origin, Policy,
    ProxyPorts, SECRET_PATHS, SECRET_VARIABLES, STARTUP_VARIABLES, TableVariable, VariableAllow,
    VariableDeny, VariablePattern, VariablePatternError, VariableRule, VariableValue,
    VariableVerdict, clean_environment, environment, secret_variables,
};

fn variables(policy: &Policy, inherited: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let inherited = inherited
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let ports = ProxyPorts {
        http: 3128,
        socks: 1080,
    };
    let taken = |host: &HostPort| [ports.http, ports.socks].contains(&host.port.get());
    let mut joined = policy.network.host_ports();
    joined.retain(|host| !taken(host));
    environment(inherited, policy, ports, &joined)
}

fn value<'v>(variables: &'v BTreeMap<OsString, OsString>, name: &str) -> Option<&'v str> {
    variables
        .get(OsStr::new(name))
        .and_then(|value| value.to_str())
}

#[test]
fn programs_are_led_to_the_proxies() {
    let inherited = [("HTTP_PROXY", "http://outside:1"), ("LANG", "C")];
    let variables = variables(&Policy::restrictive(), &inherited);
    assert_eq!(
        value(&variables, "HTTP_PROXY"),
        Some("http://127.0.0.1:3128")
    );
    assert_eq!(
        value(&variables, "ALL_PROXY"),
        Some("socks5h://127.0.0.1:1080")
    );
    assert_eq!(
        value(&variables, "NO_PROXY"),
        Some("localhost,127.0.0.1,::1")
    );
    assert_eq!(value(&variables, "LANG"), Some("C"));
    assert_eq!(value(&variables, "SANDBOX_RUNTIME"), Some("1"));
}

#[test]
fn every_variable_of_the_table_leads_to_a_proxy_and_none_holds_a_login() {
    let found = variables(&Policy::restrictive(), &[]);
    let http = Some("http://127.0.0.1:3128");
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "GRPC_PROXY",
        "grpc_proxy",
        "DOCKER_HTTP_PROXY",
        "DOCKER_HTTPS_PROXY",
    ] {
        assert_eq!(value(&found, name), http, "{name}");
    }
    for name in ["ALL_PROXY", "all_proxy", "FTP_PROXY", "ftp_proxy"] {
        assert_eq!(
            value(&found, name),
            Some("socks5h://127.0.0.1:1080"),
            "{name}"
        );
    }
    for (name, expected) in [
        ("RSYNC_PROXY", "127.0.0.1:3128"),
        ("CLOUDSDK_PROXY_TYPE", "http"),
        ("CLOUDSDK_PROXY_ADDRESS", "127.0.0.1"),
        ("CLOUDSDK_PROXY_PORT", "3128"),
        ("NODE_USE_ENV_PROXY", "1"),
        ("SANDBOX_RUNTIME", "1"),
        // Private ranges are not in it: an allowed one is reached by the proxy.
        ("no_proxy", "localhost,127.0.0.1,::1"),
    ] {
        assert_eq!(value(&found, name), Some(expected), "{name}");
    }
    // Variables of single tools are ours where they are inherited, and are not made up.
    assert_eq!(value(&found, "npm_config_proxy"), None);
    let inherited = [
        ("npm_config_https_proxy", "http://u:p@corp:1"),
        ("PIP_PROXY", "http://corp:1"),
        ("socks_proxy", "socks5://corp:1"),
        ("npm_config_noproxy", "*"),
        ("CLOUDSDK_PROXY_PASSWORD", "p"),
    ];
    let found = variables(&Policy::restrictive(), &inherited);
    assert_eq!(value(&found, "npm_config_https_proxy"), http);
    assert_eq!(value(&found, "PIP_PROXY"), http);
    assert_eq!(
        value(&found, "socks_proxy"),
        Some("socks5h://127.0.0.1:1080")
    );
    assert_eq!(
        value(&found, "npm_config_noproxy"),
        Some("localhost,127.0.0.1,::1")
    );
    assert_eq!(value(&found, "CLOUDSDK_PROXY_PASSWORD"), None);
}

#[test]
fn a_listed_loopback_is_the_hosts_and_needs_the_proxy() {
    for (rule, expected) in [
        ("localhost", ""),
        ("127.0.0.1", ""),
        // This port is a proxy's inside.
        ("localhost:3128", ""),
        // A single port is there inside.
        ("localhost:5432", "localhost,127.0.0.1,::1"),
        ("[::1]:5432", "localhost,127.0.0.1,::1"),
    ] {
        let policy = Policy::restrictive().allow_domain(rule).unwrap();
        let found = variables(&policy, &[]);
        assert_eq!(value(&found, "NO_PROXY"), Some(expected), "{rule}");
    }
}

#[test]
fn the_policy_has_the_last_word() {
    let policy = Policy::restrictive()
        .deny_variable("SECRET")
        .and_then(|policy| policy.set_variable("NO_PROXY", "x"))
        .unwrap();
    let variables = variables(&policy, &[("SECRET", "s")]);
    assert_eq!(value(&variables, "SECRET"), None);
    assert_eq!(value(&variables, "NO_PROXY"), Some("x"));
}

#[test]
fn stars_match_any_run() {
    for (pattern, name, expected) in [
        ("A", "A", true),
        ("A", "AB", false),
        ("A", "a", false),
        ("*", "", true),
        ("*", "anything", true),
        ("AWS_*", "AWS_", true),
        ("AWS_*", "AWS_X", true),
        ("AWS_*", "XAWS_", false),
        ("*_TOKEN", "GH_TOKEN", true),
        ("*_TOKEN", "GH_TOKEN_", false),
        ("*_TOKEN", "_TOKEN", true),
        ("A*A", "A", false),
        ("A*A", "AA", true),
        ("A*B*C", "AxBxBxC", true),
        ("A*B*C", "ACB", false),
        ("*AB*AB", "AB", false),
        ("*AB*AB", "ABAB", true),
        ("**", "x", true),
    ] {
        let matches = VariablePattern::parse(pattern)
            .unwrap()
            .matches(OsStr::new(name));
        assert_eq!(matches, expected, "{pattern} {name}");
    }
    for (text, error) in [
        ("", VariablePatternError::Empty),
        ("A=B", VariablePatternError::Assignment),
        ("A\0", VariablePatternError::Nul),
    ] {
        assert_eq!(VariablePattern::parse(text), Err(error));
    }
    assert_eq!(
        VariablePattern::name("A*"),
        Err(VariablePatternError::NotOne)
    );
}

const OWN: LayerId = LayerId(1);
const OTHER: LayerId = LayerId(2);

fn rule(pattern: &str) -> VariableRule {
    VariableRule {
        pattern: VariablePattern::parse(pattern).unwrap(),
        origin: Origin::Program,
    }
}

fn passes(deny: &str, firmness: Firmness, allow: &str, name: &str) -> bool {
    let policy = EnvironmentPolicy {
        deny: vec![VariableDeny {
            rule: rule(deny),
            firmness,
        }],
        allow: vec![VariableAllow {
            rule: rule(allow),
            layer: OWN,
        }],
        set: Vec::new(),
    };
    matches!(policy.judge(OsStr::new(name)), VariableVerdict::Inherit(_))
}

#[test]
fn the_more_specific_pattern_of_a_layer_wins() {
    let own = Firmness::Layer(OWN);
    for (deny, allow, name, expected) in [
        ("*", "LANG", "LANG", true),
        ("*", "LC_*", "LC_ALL", true),
        ("*", "LC_*", "LANG", false),
        ("AWS_*", "AWS_REGION", "AWS_REGION", true),
        ("AWS_*", "AWS_REGION", "AWS_SECRET", false),
        ("AWS_SECRET", "AWS_*", "AWS_SECRET", false),
        ("A", "A", "A", true),
        ("A*", "A*", "AB", true),
        ("A*", "*B", "AB", false),
        ("A*", "*", "AB", false),
    ] {
        assert_eq!(
            passes(deny, own, allow, name),
            expected,
            "{deny} {allow} {name}"
        );
    }
}

#[test]
fn a_deny_stands_against_other_layers() {
    assert!(passes("A*", Firmness::Default, "AB", "AB"));
    assert!(!passes("A*", Firmness::Layer(OTHER), "AB", "AB"));
    assert!(!passes("A*", Firmness::Final, "AB", "AB"));
}

#[test]
fn a_value_passes_where_an_allow_would() {
    for (firmness, expected) in [
        (Firmness::Default, true),
        (Firmness::Layer(OWN), true),
        (Firmness::Layer(OTHER), false),
        (Firmness::Final, false),
    ] {
        let mut policy = Policy::restrictive();
        policy.environment.deny.push(VariableDeny {
            rule: rule("*"),
            firmness,
        });
        for value in ["first", "last"] {
            policy.environment.set.push(VariableValue {
                name: "A".into(),
                value: value.into(),
                origin: Origin::Program,
                layer: OWN,
            });
        }
        let variables = variables(&policy, &[("A", "inherited"), ("B", "x")]);
        assert_eq!(value(&variables, "A"), expected.then_some("last"));
        assert_eq!(value(&variables, "B"), None);
    }
}

#[test]
fn secrets_go_and_the_basics_stay() {
    let mut policy = Policy::restrictive();
    let origin = Origin::BuiltIn("test");
    policy.environment.deny = secret_variables(&origin, Firmness::Default);
    let secrets = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "GITHUB_TOKEN",
        "OPENAI_API_KEY",
        "PGPASSWORD",
        "AZURE_CLIENT_SECRET",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "STRIPE_SECRET_KEY",
        "npm_config__auth",
        "npm_config_//registry.npmjs.org/:_authToken",
        "TF_TOKEN_app_terraform_io",
        "SECRET_KEY_BASE",
    ];
    for name in secrets {
        let verdict = policy.environment.judge(OsStr::new(name));
        assert!(matches!(verdict, VariableVerdict::Remove(_)), "{name}");
    }
    let (deny, allow) = clean_environment(&origin, Firmness::Default);
    for row in BASIC_VARIABLES {
        let name = OsStr::new(row.pattern);
        let verdict = policy.environment.judge(name);
        assert_eq!(verdict, VariableVerdict::Inherit(None), "{}", row.pattern);
    }
    policy.environment.deny.push(deny);
    policy.environment.allow = allow;
    for row in BASIC_VARIABLES {
        let name = OsStr::new(row.pattern);
        let verdict = policy.environment.judge(name);
        assert!(
            matches!(verdict, VariableVerdict::Inherit(Some(_))),
            "{}",
            row.pattern
        );
    }
    for name in secrets.into_iter().chain(["LD_PRELOAD", "DISPLAY"]) {
        let verdict = policy.environment.judge(OsStr::new(name));
        assert!(matches!(verdict, VariableVerdict::Remove(_)), "{name}");
    }
}

#[test]
fn tables_are_well_formed() {
    for row in [SECRET_VARIABLES, STARTUP_VARIABLES, BASIC_VARIABLES].concat() {
        assert!(
            VariablePattern::parse(row.pattern).is_ok(),
            "{}",
            row.pattern
        );
        assert!(!row.reason.is_empty());
    }
    let home = AbsolutePath::new("/home/u").unwrap();
    let mut seen = std::collections::HashSet::new();
    for row in SECRET_PATHS {
        let path = AbsolutePath::resolve(&home, row.path).unwrap();
        assert_eq!(
            path.as_path(),
            home.as_path().join(row.path),
            "{}",
            row.path
        );
        assert!(seen.insert(row.path), "{} twice", row.path);
        assert!(!row.reason.is_empty());
    }
    let loader = TableVariable::find(STARTUP_VARIABLES, OsStr::new("LD_PRELOAD"));
    assert!(loader.is_some());
    assert_eq!(
        TableVariable::find(STARTUP_VARIABLES, OsStr::new("LANG")),
        None
    );
}
