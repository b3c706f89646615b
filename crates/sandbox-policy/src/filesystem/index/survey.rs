//! What is met on the way down a path.

use super::events::{Events, FirmnessSet, RootKind, Whose};

/// What the rules say about a path and everything above it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) write_denied: bool,
    /// Whether nothing is written through the path if it is a symlink.
    pub(super) closes_link: bool,
    /// Read denies that nothing re-opened.
    pub(super) standing: FirmnessSet,
    pub(super) root: Option<Root>,
    /// The private directory that is shown there.
    private: Option<Private>,
}

/// A private directory, and what it makes of the rules.
#[derive(Clone, Copy, Debug)]
struct Private {
    standing: FirmnessSet,
    depth: usize,
}

/// The deepest opening for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) kind: RootKind,
    pub(super) depth: usize,
}

impl Survey {
    pub(super) fn meet(&mut self, events: &Events, depth: usize, reopened_in_scratch: FirmnessSet) {
        self.write_denied |= events.denies_write;
        // Only the last name is the link itself.
        self.closes_link = events.closes_link;
        self.standing = self.standing.after(events);
        if let Some(kind) = events.root {
            self.root = Some(Root { kind, depth });
        }
        self.private = match events.whose {
            Some(Whose::HostsToRead | Whose::HostsToWrite) => None,
            Some(Whose::Private) => Some(Private {
                standing: self.standing.without(reopened_in_scratch),
                depth,
            }),
            None => self.private.map(|Private { standing, depth }| Private {
                standing: standing.after(events),
                depth,
            }),
        };
    }

    /// What is said of the path, by all that was met on the way.
    pub(super) fn ended(self) -> Self {
        let Some(Private { standing, depth }) = self.private else {
            return self;
        };
        // A glob may open something in there.
        let root = self.root.filter(|root| root.depth >= depth);
        let kind = RootKind::Scratch;
        Self {
            standing,
            root: root.or(Some(Root { kind, depth })),
            ..self
        }
    }
}
