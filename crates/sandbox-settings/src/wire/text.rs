//! The kinds of text and number that settings hold. The schema's `format` names the check that the
//! loader makes, so a schema and a loader can't disagree about which entries are checked how.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, Visitor},
};

use sandbox_policy::{PROTECTED_PATHS, Port};

use crate::json::{Located, Place};

/// `format` of an entry of an allow list of hosts.
pub(crate) const ALLOWED_DOMAIN: &str = "allowed-domain";
/// `format` of an entry of a deny list of hosts.
pub(crate) const DENIED_DOMAIN: &str = "denied-domain";
/// `format` of a path or glob.
pub(crate) const PATH_PATTERN: &str = "path-pattern";
/// `format` of a path in which no character is special.
pub(crate) const LITERAL_PATH: &str = "literal-path";
/// `format` of a variable's name or a pattern of some.
pub(crate) const VARIABLE_PATTERN: &str = "variable-pattern";
/// `format` of a variable's name.
pub(crate) const VARIABLE_NAME: &str = "variable-name";
/// `format` of a path below `/dev`.
pub(crate) const DEVICE_PATH: &str = "device-path";
/// `format` of an absolute path.
pub(crate) const ABSOLUTE_PATH: &str = "absolute-path";
/// `format` of an address or CIDR range.
pub(crate) const ADDRESS_RANGE: &str = "address-range";
/// `format` of a published port.
pub(crate) const PORT_MAPPING: &str = "port-mapping";
/// `format` of a proxy's URL.
pub(crate) const PROXY_URL: &str = "proxy-url";
/// `format` of a list of what is reached without a proxy.
pub(crate) const PROXY_BYPASS: &str = "proxy-bypass";
/// `format` of a permission rule that grants.
pub(crate) const GRANTING_RULE: &str = "granting-permission-rule";
/// `format` of a permission rule that refuses.
pub(crate) const REFUSING_RULE: &str = "refusing-permission-rule";

/// A text with a `format`.
macro_rules! text_type {
    ($(#[doc = $doc:literal] $name:ident: $format:expr;)+) => {$(
        #[doc = $doc]
        #[derive(Debug, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) Located<String>);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    )+};
}

text_type! {
    /// A path or glob; a plain string only.
    PathText: PATH_PATTERN;
    /// An IP address or a CIDR range.
    AddressRange: ADDRESS_RANGE;
    /// A permission rule of `allow`.
    GrantingRule: GRANTING_RULE;
    /// A permission rule of `deny` or `ask`.
    RefusingRule: REFUSING_RULE;
    /// A variable's name, or a pattern of some.
    VariableText: VARIABLE_PATTERN;
    /// A variable's name.
    VariableName: VARIABLE_NAME;
    /// A device of the host's.
    DeviceText: DEVICE_PATH;
    /// A proxy's URL, or nothing.
    ProxyUrl: PROXY_URL;
    /// What is reached without a proxy.
    BypassText: PROXY_BYPASS;
}

/// The name of a protected path, as the table has it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ProtectedName(pub(crate) Located<String>);

impl JsonSchema for ProtectedName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ProtectedName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = PROTECTED_PATHS.iter().map(|row| row.path).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// A text that must not be empty.
#[derive(Debug)]
pub(crate) struct NonEmptyText(pub(crate) Located<String>);

impl<'de> Deserialize<'de> for NonEmptyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Located::<String>::deserialize(deserializer)?;
        if text.value.is_empty() {
            return Err(D::Error::custom("the text is empty"));
        }
        Ok(Self(text))
    }
}

impl JsonSchema for NonEmptyText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NonEmptyText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// Where a list stands whose entries are such: there may be thousands, so they are read from there.
#[derive(Debug)]
pub(crate) struct Entries<S> {
    pub(crate) span: Range<usize>,
    entry: PhantomData<S>,
}

impl<'de, S> Deserialize<'de> for Entries<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Place(span) = Place::deserialize(deserializer)?;
        let entry = PhantomData;
        Ok(Self { span, entry })
    }
}

impl<S: JsonSchema> JsonSchema for Entries<S> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<S>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<S>::json_schema(generator)
    }
}

/// `{"path": …, "literal": true}`: a path in which no character is special.
#[derive(Debug)]
pub(crate) struct LiteralPath(pub(crate) String);

impl<'de> Deserialize<'de> for LiteralPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LiteralPathMembers { path, literal } = LiteralPathMembers::deserialize(deserializer)?;
        if !literal {
            return Err(D::Error::custom("`literal` can only be true"));
        }
        Ok(Self(path))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiteralPathMembers {
    path: String,
    literal: bool,
}

/// The schema of a path or glob, or a path whose characters are all plain.
#[derive(Debug)]
pub(crate) enum PathEntry {}

impl JsonSchema for PathEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PathEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {
                    "type": "string",
                    "format": PATH_PATTERN,
                    "description": "A path with everything below it, or a glob with `*`, `**`, `?`, `[…]`: without negation, alternatives and escapes."
                },
                {
                    "type": "object",
                    "description": "A path in which no character is special.",
                    "properties": {
                        "path": { "type": "string", "format": LITERAL_PATH },
                        "literal": { "type": "boolean", "const": true }
                    },
                    "required": ["path", "literal"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// The number of a TCP port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortNumber(pub(crate) Port);

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Port::new(number)
            .map(Self)
            .ok_or_else(|| D::Error::custom("a port is between 1 and 65535"))
    }
}

impl JsonSchema for PortNumber {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PortNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

/// A port that is published, or `outside:inside`.
#[derive(Debug)]
pub(crate) enum PublishText {
    /// The same port on both sides.
    Same(Port),
    /// To be read as a mapping.
    Mapping(String),
}

impl<'de> Deserialize<'de> for PublishText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PublishVisitor)
    }
}

struct PublishVisitor;

impl Visitor<'_> for PublishVisitor {
    type Value = PublishText;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a port, or a text like `8080:80`")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<PublishText, E> {
        let port = u16::try_from(number).ok().and_then(Port::new);
        port.map(PublishText::Same)
            .ok_or_else(|| E::custom("a port is between 1 and 65535"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PublishText, E> {
        Ok(PublishText::Mapping(text.to_owned()))
    }
}

impl JsonSchema for PublishText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PublishedPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                {
                    "type": "string",
                    "format": PORT_MAPPING,
                    "description": "`OUTSIDE:INSIDE`, as in `8080:80`."
                }
            ]
        })
    }
}

/// A key whose feature is not there yet. No value satisfies its schema.
#[derive(Debug)]
pub(crate) struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let IgnoredAny = IgnoredAny::deserialize(deserializer)?;
        Ok(Self)
    }
}

impl JsonSchema for Unsupported {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Unsupported".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}

/// A key that is accepted for files written for other implementations, and changes nothing here.
#[derive(Debug)]
pub(crate) struct Ignored<T>(PhantomData<T>);

impl<'de, T> Deserialize<'de> for Ignored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let IgnoredAny = IgnoredAny::deserialize(deserializer)?;
        Ok(Self(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ignored<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Types that exist as schemas only: the values of ignored keys, and entries of long lists.
macro_rules! schema_only {
    ($(#[doc = $doc:literal] $name:ident: $schema:tt;)+) => {$(
        #[doc = $doc]
        #[derive(Debug)]
        pub(crate) enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

schema_only! {
    /// A host, `*.` and a host, each with an optional port.
    AllowedDomain: { "type": "string", "format": ALLOWED_DOMAIN };
    /// As an allowed one, and `*`.
    DeniedDomain: { "type": "string", "format": DENIED_DOMAIN };
    /// A program with arguments.
    ProgramSchema: {
        "type": "object",
        "properties": {
            "command": { "type": "string", "minLength": 1 },
            "args": { "type": "array", "items": { "type": "string" } },
            "argv0": { "type": "string" }
        },
        "required": ["command"],
        "additionalProperties": false
    };
    /// A filter helper.
    SeccompSchema: {
        "type": "object",
        "properties": {
            "applyPath": { "type": "string", "format": ABSOLUTE_PATH },
            "argv0": { "type": "string" }
        },
        "additionalProperties": false
    };
    /// An absolute path.
    AbsolutePathSchema: { "type": "string", "format": ABSOLUTE_PATH };
    /// How deep a directory scan goes.
    DepthSchema: { "type": "integer", "minimum": 1, "maximum": 10 };
    /// Anything that is an object.
    ObjectSchema: { "type": "object" };
    /// Yes or no.
    BooleanSchema: { "type": "boolean" };
}
