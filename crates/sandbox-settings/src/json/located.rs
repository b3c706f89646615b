//! A typed value that keeps its bytes' place, so that every rule can name its line.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

/// A value and the bytes that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The name by which [`super::Node`]'s deserializer knows that the span is wanted.
pub(super) const NAME: &str = "$located";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, LocatedVisitor(PhantomData))
    }
}

/// The bytes of a value that is not looked into.
#[derive(Clone, Debug)]
pub(crate) struct Place(pub(crate) Range<usize>);

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, PlaceVisitor)
    }
}

struct PlaceVisitor;

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = Place;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Place, A::Error> {
        Ok(Place(read_span(&mut parts)?))
    }
}

fn read_span<'de, A: SeqAccess<'de>>(parts: &mut A) -> Result<Range<usize>, A::Error> {
    let start = parts
        .next_element()?
        .ok_or_else(|| A::Error::missing_field("start"))?;
    let end = parts
        .next_element()?
        .ok_or_else(|| A::Error::missing_field("end"))?;
    Ok(start..end)
}

struct LocatedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LocatedVisitor<T> {
    type Value = Located<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value with its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let span = read_span(&mut parts)?;
        let value = parts
            .next_element()?
            .ok_or_else(|| A::Error::missing_field("value"))?;
        Ok(Located { value, span })
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
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
