//! A reader and evaluator of the SBPL that profiles are written in: the oracle of these tests.
//!
//! It shares no code with the generator. A word that it does not know is a panic, so a misspelt
//! operation or filter fails every test that evaluates it.
//!
//! Meaning, from public measurements on macOS: an operation belongs to a tree (`file-write-unlink`
//! below `file-write*` below `file*` below `default`); a rule for an operation covers those below;
//! among rules with filters the last match wins; a rule without filters never defeats one with a
//! filter, whatever the order. How rules of *different* levels combine is not documented, so there
//! are two [`Reading`]s, and a profile is only good when both give the wanted answer.

use std::collections::BTreeMap;

use sandbox_macos::SeatbeltProfile;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
}

/// How a rule for `file-write*` and one for `file-write-unlink` combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The nearest level that has a matching rule decides.
    NearestLevel,
    /// Levels do not matter: the last matching rule decides.
    LastRule,
}

pub(crate) const READINGS: [Reading; 2] = [Reading::NearestLevel, Reading::LastRule];

/// What an operation is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) path: Option<String>,
    pub(crate) vnode: Option<&'static str>,
    pub(crate) remote: Option<String>,
    pub(crate) local: Option<String>,
    pub(crate) socket_path: Option<String>,
    pub(crate) socket_domain: Option<&'static str>,
    pub(crate) name: Option<String>,
    pub(crate) same_sandbox: bool,
    pub(crate) ioctl: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Word(String),
    Text(String),
    List(Vec<Self>),
}

#[derive(Debug)]
struct Rule {
    decision: Decision,
    operations: Vec<String>,
    filters: Vec<Filter>,
}

/// A filter with its expressions compiled and its parameters filled in.
#[derive(Debug)]
enum Filter {
    Literal(String),
    Subpath(String),
    Regex(regex::Regex),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Vnode(String),
    Name(String),
    NamePrefix(String),
    SameSandbox,
    Ioctl(String),
    SocketDomain(String),
    SocketProtocol,
    Ip { remote: bool, address: String },
    UnixSocket { path: Box<Self> },
}

#[derive(Debug)]
pub(crate) struct Evaluator {
    rules: Vec<Rule>,
}

impl Evaluator {
    pub(crate) fn new(profile: &SeatbeltProfile) -> Self {
        let named = profile.parameters().iter();
        let parameters = named
            .map(|parameter| {
                (
                    parameter.name(),
                    parameter.value().to_str().unwrap().to_owned(),
                )
            })
            .collect();
        Self::read(profile.text(), &parameters)
    }

    pub(crate) fn read(text: &str, parameters: &BTreeMap<String, String>) -> Self {
        let forms = parse(text);
        let version = Form::List(vec![Form::Word("version".into()), Form::Word("1".into())]);
        assert_eq!(forms[0], version, "the version comes first");
        let rules: Vec<Rule> = forms[1..]
            .iter()
            .map(|form| rule(form, parameters))
            .collect();
        assert_eq!(rules[0].decision, Decision::Deny);
        assert_eq!(rules[0].operations, ["default"]);
        Self { rules }
    }

    /// The answer, which must not depend on the reading.
    pub(crate) fn decide(&self, operation: &str, object: &Object) -> Decision {
        let [nearest, last] = READINGS.map(|reading| self.decide_as(reading, operation, object));
        assert_eq!(
            nearest, last,
            "the readings differ on {operation} of {object:?}"
        );
        nearest
    }

    pub(crate) fn decide_as(&self, reading: Reading, operation: &str, object: &Object) -> Decision {
        let mut levels = vec![operation];
        while let Some(parent) = parent(levels[levels.len() - 1]) {
            levels.push(parent);
        }
        match reading {
            Reading::NearestLevel => levels
                .iter()
                .find_map(|level| self.among(&[level], object))
                .expect("`default` is decided"),
            Reading::LastRule => self.among(&levels, object).expect("`default` is decided"),
        }
    }

    fn among(&self, levels: &[&str], object: &Object) -> Option<Decision> {
        let is_meant = |rule: &&Rule| {
            rule.operations
                .iter()
                .any(|name| levels.contains(&name.as_str()))
        };
        let last = |with_filters: bool| {
            let mut rules = self.rules.iter().rev().filter(is_meant);
            rules.find(|rule| match rule.filters.as_slice() {
                [] => !with_filters,
                filters => with_filters && filters.iter().any(|filter| filter.matches(object)),
            })
        };
        last(true).or_else(|| last(false)).map(|rule| rule.decision)
    }
}

impl Filter {
    fn matches(&self, object: &Object) -> bool {
        let path = object.path.as_deref();
        match self {
            Self::Literal(wanted) => path == Some(wanted),
            Self::Subpath(root) => path.is_some_and(|path| is_within(path, root)),
            Self::Regex(regex) => path.is_some_and(|path| regex.is_match(path)),
            Self::All(filters) => filters.iter().all(|filter| filter.matches(object)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(object)),
            Self::Not(filter) => !filter.matches(object),
            Self::Vnode(wanted) => object.vnode == Some(wanted),
            Self::Name(wanted) => object.name.as_deref() == Some(wanted),
            Self::NamePrefix(wanted) => object
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with(wanted)),
            Self::SameSandbox => object.same_sandbox,
            Self::Ioctl(wanted) => object.ioctl == Some(wanted),
            Self::SocketDomain(wanted) => object.socket_domain == Some(wanted),
            Self::SocketProtocol => object.name.as_deref() == Some("2"),
            Self::Ip { remote, address } => {
                let actual = if *remote {
                    &object.remote
                } else {
                    &object.local
                };
                actual
                    .as_deref()
                    .is_some_and(|actual| is_address(actual, address))
            }
            Self::UnixSocket { path } => {
                let socket = Object {
                    path: object.socket_path.clone(),
                    ..Object::default()
                };
                path.matches(&socket)
            }
        }
    }
}

fn is_within(path: &str, root: &str) -> bool {
    root == "/"
        || path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `localhost:80` against `localhost:*`, `*:*`, …
fn is_address(actual: &str, wanted: &str) -> bool {
    let (actual_host, actual_port) = actual.rsplit_once(':').unwrap();
    let (host, port) = wanted.rsplit_once(':').unwrap();
    (host == "*" || host == actual_host) && (port == "*" || port == actual_port)
}

fn parent(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "default" => return None,
        "file-read-data" | "file-read-metadata" | "file-read-xattr" => "file-read*",
        "file-write-create" | "file-write-data" | "file-write-mode" | "file-write-unlink"
        | "file-write-xattr" => "file-write*",
        "file-read*" | "file-write*" | "file-ioctl" | "file-link" | "file-clone" => "file*",
        "network-bind" | "network-inbound" | "network-outbound" => "network*",
        "sysctl-read" | "sysctl-write" => "sysctl*",
        "mach-lookup" | "mach-priv-task-port" => "mach*",
        "process-exec" | "process-fork" | "process-info*" => "process*",
        "file*"
        | "network*"
        | "sysctl*"
        | "mach*"
        | "process*"
        | "signal"
        | "system-socket"
        | "ipc-posix-shm"
        | "ipc-posix-sem"
        | "iokit-open"
        | "iokit-get-properties"
        | "user-preference-read"
        | "distributed-notification-post" => "default",
        unknown => panic!("unknown operation `{unknown}`"),
    })
}

fn rule(form: &Form, parameters: &BTreeMap<String, String>) -> Rule {
    let Form::List(items) = form else {
        panic!("not a rule: {form:?}")
    };
    let decision = match word(&items[0]) {
        "allow" => Decision::Allow,
        "deny" => Decision::Deny,
        unknown => panic!("unknown form `{unknown}`"),
    };
    let mut operations = Vec::new();
    let mut filters = Vec::new();
    for item in &items[1..] {
        match item {
            Form::Word(operation) => {
                assert!(filters.is_empty(), "operations come before filters");
                parent(operation);
                operations.push(operation.clone());
            }
            Form::List(list) => filters.push(filter(list, parameters)),
            Form::Text(text) => panic!("a text {text:?} is no filter"),
        }
    }
    assert!(
        !operations.is_empty(),
        "a rule without an operation: {form:?}"
    );
    Rule {
        decision,
        operations,
        filters,
    }
}

fn filter(list: &[Form], parameters: &BTreeMap<String, String>) -> Filter {
    let nested = |form: &Form| {
        let Form::List(list) = form else {
            panic!("not a filter: {form:?}")
        };
        filter(list, parameters)
    };
    let path = |form: &Form| {
        let path = match form {
            Form::Text(path) => path.clone(),
            Form::List(list) if word(&list[0]) == "param" => parameters[text(&list[1])].clone(),
            Form::List(_) | Form::Word(_) => panic!("not a path: {form:?}"),
        };
        check_path(&path);
        path
    };
    let (name, arguments) = (word(&list[0]), &list[1..]);
    match (name, arguments) {
        ("literal", [term]) => Filter::Literal(path(term)),
        ("subpath", [term]) => Filter::Subpath(path(term)),
        ("regex" | "path-regex", [expression]) => {
            let expression = text(expression);
            assert!(expression.len() <= 1025, "too long for sandbox-exec");
            // `s`: Seatbelt's dot has no exception.
            Filter::Regex(regex::Regex::new(&format!("(?s){expression}")).unwrap())
        }
        ("require-all", filters) if !filters.is_empty() => {
            Filter::All(filters.iter().map(nested).collect())
        }
        ("require-any", filters) if !filters.is_empty() => {
            Filter::Any(filters.iter().map(nested).collect())
        }
        ("require-not", [filter]) => Filter::Not(Box::new(nested(filter))),
        ("vnode-type", [kind]) => {
            assert!(["DIRECTORY", "CHARACTER-DEVICE"].contains(&word(kind)));
            Filter::Vnode(word(kind).to_owned())
        }
        ("global-name" | "sysctl-name" | "iokit-registry-entry-class", [name]) => {
            Filter::Name(text(name).to_owned())
        }
        ("sysctl-name-prefix", [name]) => Filter::NamePrefix(text(name).to_owned()),
        ("target", [target]) if word(target) == "same-sandbox" => Filter::SameSandbox,
        ("ioctl-command", [command]) => Filter::Ioctl(word(command).to_owned()),
        ("socket-domain", [domain]) => Filter::SocketDomain(word(domain).to_owned()),
        ("socket-protocol", [protocol]) if word(protocol) == "2" => Filter::SocketProtocol,
        ("local" | "remote", [kind, address]) if word(kind) == "ip" => {
            let address = text(address).to_owned();
            let host = address.rsplit_once(':').unwrap().0;
            assert!(
                ["*", "localhost"].contains(&host),
                "Seatbelt takes no other host than {host}"
            );
            Filter::Ip {
                remote: name == "remote",
                address,
            }
        }
        ("local" | "remote", [kind, path]) if word(kind) == "unix-socket" => Filter::UnixSocket {
            path: Box::new(nested(path)),
        },
        unknown => panic!("unknown filter {unknown:?}"),
    }
}

/// What Seatbelt would accept and never match.
fn check_path(path: &str) {
    assert!(path.starts_with('/'), "relative path {path:?}");
    assert!(
        path == "/" || !path.ends_with('/'),
        "trailing slash in {path:?}"
    );
    for link in ["/tmp/", "/var/", "/etc/"] {
        assert!(
            !path.starts_with(link),
            "{path:?} goes through a symbolic link"
        );
    }
}

fn word(form: &Form) -> &str {
    let Form::Word(word) = form else {
        panic!("not a word: {form:?}")
    };
    word
}

fn text(form: &Form) -> &str {
    let Form::Text(text) = form else {
        panic!("not a text: {form:?}")
    };
    text
}

fn parse(source: &str) -> Vec<Form> {
    let mut open: Vec<Vec<Form>> = vec![Vec::new()];
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ';' => while characters.next().is_some_and(|character| character != '\n') {},
            '(' => open.push(Vec::new()),
            ')' => {
                let list = open.pop().unwrap();
                open.last_mut()
                    .expect("a closing parenthesis too many")
                    .push(Form::List(list));
            }
            '"' => {
                let mut text = String::new();
                loop {
                    match characters.next().expect("an open text") {
                        '"' => break,
                        '\\' => match characters.next().unwrap() {
                            escaped @ ('"' | '\\') => text.push(escaped),
                            other => panic!("unknown escape {other:?}"),
                        },
                        other => text.push(other),
                    }
                }
                open.last_mut().unwrap().push(Form::Text(text));
            }
            space if space.is_whitespace() => {}
            first => {
                let mut word = first.to_string();
                while let Some(next) =
                    characters.next_if(|next| !next.is_whitespace() && !"();\"".contains(*next))
                {
                    word.push(next);
                }
                open.last_mut().unwrap().push(Form::Word(word));
            }
        }
    }
    assert_eq!(open.len(), 1, "an opening parenthesis too many");
    open.pop().unwrap()
}

#[test]
fn published_measurements_hold() {
    let decide = |rules: &str, path: &str| {
        let source = format!("(version 1)\n(deny default)\n{rules}");
        let object = Object {
            path: Some(path.to_owned()),
            ..Object::default()
        };
        Evaluator::read(&source, &BTreeMap::new()).decide("file-read-data", &object)
    };
    let shallow = "(allow file-read*)(deny file-read* (subpath \"/a\"))";
    assert_eq!(decide(shallow, "/b"), Decision::Allow);
    assert_eq!(decide(shallow, "/a/b"), Decision::Deny);
    assert_eq!(decide(shallow, "/ab"), Decision::Allow);
    let reversed = "(deny file-read* (subpath \"/a\"))(allow file-read*)";
    assert_eq!(
        decide(reversed, "/a/b"),
        Decision::Deny,
        "an allow without a filter is weaker"
    );
    let reopened =
        "(allow file-read*)(deny file-read* (subpath \"/a\"))(allow file-read* (subpath \"/a/b\"))";
    assert_eq!(
        decide(reopened, "/a/b"),
        Decision::Allow,
        "of filtered rules the last one wins"
    );
    assert_eq!(decide("", "/a"), Decision::Deny);
}

#[test]
#[should_panic(expected = "unknown operation `file-raed*`")]
fn misspelt_operations_are_noticed() {
    Evaluator::read(
        "(version 1)(deny default)(allow file-raed*)",
        &BTreeMap::new(),
    );
}

#[test]
#[should_panic(expected = "too many")]
fn unbalanced_parentheses_are_noticed() {
    Evaluator::read("(version 1)(deny default", &BTreeMap::new());
}

#[test]
#[should_panic(expected = "the readings differ")]
fn rules_that_rely_on_the_order_of_levels_are_noticed() {
    let source = "(version 1)(deny default)\
                  (deny file-write-unlink (literal \"/a\"))(allow file-write* (subpath \"/a\"))";
    let object = Object {
        path: Some("/a".to_owned()),
        ..Object::default()
    };
    Evaluator::read(source, &BTreeMap::new()).decide("file-write-unlink", &object);
}
