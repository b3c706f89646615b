//! The values of a list. Lists of thousands are strings: of those only the places are kept, and read from there.

use std::{cell::OnceCell, fmt, ops::Range};

use super::{Node, Value};

/// The values of a list, in order.
pub(crate) struct List<'t> {
    strings: Option<Strings<'t>>,
    /// Made of the strings when somebody asks for it.
    nodes: OnceCell<Vec<Node<'t>>>,
}

/// Strings that are their text in a file.
struct Strings<'t> {
    file: &'t str,
    /// Where the contents begin and end.
    places: Vec<(u32, u32)>,
}

impl<'t> Strings<'t> {
    fn iter(&self) -> impl ExactSizeIterator<Item = (Range<usize>, &'t str)> {
        let to_index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.places.iter().map(move |(start, end)| {
            let (start, end) = (to_index(*start), to_index(*end));
            let content = self.file.get(start..end).unwrap_or_default();
            (start.saturating_sub(1)..end.saturating_add(1), content)
        })
    }
}

impl<'t> List<'t> {
    pub(super) fn new(nodes: Vec<Node<'t>>) -> Self {
        Self {
            strings: None,
            nodes: nodes.into(),
        }
    }

    /// A list of strings that begin and end at these offsets of a file, the quotes left out.
    pub(super) fn of_strings(file: &'t str, places: Vec<(u32, u32)>) -> Self {
        Self {
            strings: Some(Strings { file, places }),
            nodes: OnceCell::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        let strings = self.strings.as_ref().map(|strings| strings.places.len());
        strings.unwrap_or_else(|| self.nodes().len())
    }

    /// The values.
    pub(crate) fn nodes(&self) -> &[Node<'t>] {
        self.nodes.get_or_init(|| {
            let strings = self.strings.iter().flat_map(Strings::iter);
            let nodes = strings.map(|(span, content)| Node {
                span,
                value: Value::String(content.into()),
            });
            nodes.collect()
        })
    }

    pub(super) fn into_nodes(self) -> Vec<Node<'t>> {
        self.nodes();
        self.nodes.into_inner().unwrap_or_default()
    }

    /// The contents with the places of the values, if they are known to be plain strings.
    pub(crate) fn strings(&self) -> Option<impl ExactSizeIterator<Item = (Range<usize>, &'t str)>> {
        self.strings.as_ref().map(Strings::iter)
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.nodes() == other.nodes()
    }
}

impl Eq for List<'_> {}

impl fmt::Debug for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes().fmt(formatter)
    }
}
