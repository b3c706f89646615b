//! [`Node`] as a serde data source that can tell where each value stands.

use std::{fmt, ops::Range};

use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{Member, Node, Value, located};

/// A typed error at a value.
#[derive(Debug)]
pub(crate) struct NodeError {
    pub(crate) span: Option<Range<usize>>,
    pub(crate) message: String,
}

impl NodeError {
    /// Something else than a list.
    pub(crate) fn list_expected(span: Range<usize>) -> Self {
        Self {
            span: Some(span),
            message: "a list is expected".to_owned(),
        }
    }

    /// Something else than a text.
    pub(crate) fn text_expected(span: Range<usize>) -> Self {
        Self {
            span: Some(span),
            message: "a text is expected".to_owned(),
        }
    }

    fn at(self, node: &Node<'_>) -> Self {
        Self {
            span: self.span.or_else(|| Some(node.span.clone())),
            ..self
        }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NodeError {}

impl de::Error for NodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            span: None,
            message: message.to_string(),
        }
    }
}

impl<'de> Deserializer<'de> for &'de Node<'de> {
    type Error = NodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(text) => match text.parse::<u64>() {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_str(text),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(elements) => visitor.visit_seq(Elements {
                rest: elements.nodes().iter(),
            }),
            Value::Object(members) => visitor.visit_map(Members {
                rest: members.iter(),
                value: None,
            }),
        }
        .map_err(|error| error.at(self))
    }

    // An absent key is `None`; `null` is a value like any other, and none of ours takes it.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        if name == located::NAME {
            visitor.visit_seq(LocatedParts {
                node: self,
                part: Part::Start,
            })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    // serde's structs can be read from lists too; settings can't.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        match &self.value {
            Value::Object(_) => self.deserialize_any(visitor),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                let error: NodeError = de::Error::custom("an object is expected");
                Err(error.at(self))
            }
        }
    }

    // A plain name is a unit variant: ours have no others.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        match &self.value {
            Value::String(text) => {
                let variant: StrDeserializer<'_, NodeError> = (&**text).into_deserializer();
                variant
                    .deserialize_enum(name, variants, visitor)
                    .map_err(|error| error.at(self))
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de> {
    rest: std::slice::Iter<'de, Node<'de>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = NodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NodeError> {
        self.rest
            .next()
            .map(|node| seed.deserialize(node))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'de> {
    rest: std::slice::Iter<'de, Member<'de>>,
    value: Option<&'de Node<'de>>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = NodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NodeError> {
        let Some(member) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(&member.node);
        let key: StrDeserializer<'_, NodeError> = (&*member.key).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NodeError> {
        let node = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(node)
    }
}

/// The three parts that `Located` is read from.
struct LocatedParts<'de> {
    node: &'de Node<'de>,
    part: Part,
}

enum Part {
    Start,
    End,
    Value,
    Done,
}

impl<'de> SeqAccess<'de> for LocatedParts<'de> {
    type Error = NodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NodeError> {
        let (value, next) = match self.part {
            Part::Start => (
                seed.deserialize(self.node.span.start.into_deserializer())?,
                Part::End,
            ),
            Part::End => (
                seed.deserialize(self.node.span.end.into_deserializer())?,
                Part::Value,
            ),
            Part::Value => (seed.deserialize(self.node)?, Part::Done),
            Part::Done => return Ok(None),
        };
        self.part = next;
        Ok(Some(value))
    }
}
