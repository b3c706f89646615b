//! Lists of rules that are shared until one of them changes.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A list of rules, which may be thousands long. A clone is the same list until either is changed;
/// then it is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleList<T>(Arc<Vec<T>>);

impl<T> Default for RuleList<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for RuleList<T> {
    fn from(rules: Vec<T>) -> Self {
        Self(Arc::new(rules))
    }
}

impl<T> FromIterator<T> for RuleList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rules: I) -> Self {
        Vec::from_iter(rules).into()
    }
}

impl<T> Deref for RuleList<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Clone> DerefMut for RuleList<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        Arc::make_mut(&mut self.0)
    }
}

impl<'a, T> IntoIterator for &'a RuleList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
