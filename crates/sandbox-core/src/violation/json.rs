//! A violation as one JSON object.

use std::time::{SystemTime, UNIX_EPOCH};

use sandbox_policy::{Origin, visible};
use serde::{Serialize, Serializer};

use super::{Remedy, Violation};

/// The object's keys, in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'v> {
    /// Seconds since 1970, with microseconds.
    time: f64,
    pid: Option<i32>,
    program: Option<&'v str>,
    executable: Option<&'v str>,
    operation: Option<&'static str>,
    call: Option<&'static str>,
    object: Option<&'v str>,
    reason: &'static str,
    message: String,
    rule: Option<&'v str>,
    origin: Option<Place<'v>>,
    note: Option<&'v str>,
    to_allow: Option<ToAllow<'v>>,
    command: Option<&'v str>,
    repeats: u64,
    #[serde(skip_serializing_if = "is_false")]
    permitted: bool,
}

/// As `srt explain --json` has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Place<'v> {
    File {
        file: String,
        line: &'v u32,
        column: &'v u32,
    },
    Other(String),
}

#[derive(Serialize)]
struct ToAllow<'v> {
    text: &'v str,
    key: Option<&'static str>,
    value: Option<Entry<'v>>,
}

/// As it stands in a settings file.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'v> {
    Text(&'v str),
    Literal { path: &'v str, literal: bool },
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = Object {
            time: seconds(self.time),
            pid: self.pid,
            program: self.program.as_deref(),
            executable: self.executable.as_deref(),
            operation: Some(self.operation.code()),
            call: self.call,
            object: Some(&self.object),
            reason: self.reason.code(),
            message: self.to_string(),
            rule: self.rule.as_ref().map(|(rule, _)| rule.as_str()),
            origin: self.rule.as_ref().map(|(_, origin)| place(origin)),
            note: self.note.as_deref(),
            to_allow: self.remedy.as_ref().map(to_allow),
            command: Some(&self.command),
            repeats: self.repeats,
            permitted: self.permitted,
        };
        object.serialize(serializer)
    }
}

/// Refusals of which nothing is known but their number: one and these.
pub(super) struct Others {
    pub(super) repeats: u64,
}

impl Serialize for Others {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = Object {
            time: seconds(SystemTime::now()),
            pid: None,
            program: None,
            executable: None,
            operation: None,
            call: None,
            object: None,
            reason: "too_many",
            message: "others came too fast to be told one by one".to_owned(),
            rule: None,
            origin: None,
            note: None,
            to_allow: None,
            command: None,
            repeats: self.repeats,
            permitted: false,
        };
        object.serialize(serializer)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A clock that is set to a time before 1970 gives a negative number.
fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

fn place(origin: &Origin) -> Place<'_> {
    match origin {
        Origin::File { path, line, column } => Place::File {
            file: visible(&path.display().to_string()),
            line,
            column,
        },
        Origin::BuiltIn(_) | Origin::Flag(_) | Origin::Program => {
            Place::Other(visible(&origin.to_string()))
        }
    }
}

fn to_allow(remedy: &Remedy) -> ToAllow<'_> {
    let entry = remedy.entry.as_ref();
    ToAllow {
        text: &remedy.text,
        key: entry.map(|entry| entry.key),
        value: entry.map(|entry| match (entry.value.as_str(), entry.literal) {
            (path, literal @ true) => Entry::Literal { path, literal },
            (text, false) => Entry::Text(text),
        }),
    }
}
