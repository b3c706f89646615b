//! Paths travel as parameters (`-D P0=…`), never inside the profile's text.

use std::{ffi::OsString, fmt};

use sandbox_policy::AbsolutePath;

use super::sbpl::{Filter, PathTerm};

/// A value that the profile's text refers to by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    name: ParameterName,
    value: OsString,
}

/// The name of a parameter, such as `P0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParameterName(usize);

/// The parameters of one profile, numbered in the order of first use; equal paths share one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    values: Vec<AbsolutePath>,
}

impl Parameter {
    /// The name that `(param …)` in the text uses.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// The path.
    #[must_use]
    pub fn value(&self) -> &std::ffi::OsStr {
        &self.value
    }
}

impl Parameters {
    /// A filter for the path and everything below it.
    pub(crate) fn subpath(&mut self, path: &AbsolutePath) -> Filter {
        Filter::Subpath(self.term(path))
    }

    /// A filter for this very path.
    pub(crate) fn literal(&mut self, path: &AbsolutePath) -> Filter {
        Filter::Literal(self.term(path))
    }

    /// The path as a parameter.
    pub(crate) fn term(&mut self, path: &AbsolutePath) -> PathTerm {
        let known = self.values.iter().position(|value| value == path);
        let index = known.unwrap_or_else(|| {
            self.values.push(path.clone());
            self.values.len() - 1
        });
        PathTerm::Parameter(ParameterName(index))
    }

    /// The values, in the order of their names.
    pub(crate) fn into_values(self) -> Vec<Parameter> {
        let named = self.values.into_iter().enumerate();
        named
            .map(|(index, path)| Parameter {
                name: ParameterName(index),
                value: path.as_path().as_os_str().to_owned(),
            })
            .collect()
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}", self.0)
    }
}
