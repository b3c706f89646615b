//! All rows as one state machine that reads a path name by name.
//!
//! A state says which runs have begun and how far they are. Runs that begin right below the write
//! root or above it are kept apart from those that begin deeper, in nested places: what may be
//! removed differs.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::{DEPENDENCY_STORES, ProtectedPath, Protection, fold_into};

/// The compiled rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProtectedNames {
    /// What a (folded) name leads to.
    edges: HashMap<Box<[u8]>, Vec<Edge>, RandomState>,
    /// What any name leads to.
    any_name: Vec<Edge>,
    /// The states that any name leaves as they are (`**`).
    looping: u128,
    /// Names that a run may begin with.
    beginnings: Shapes,
    /// Names that a store of packages may begin with.
    store_beginnings: Shapes,
}

/// A quick look at ASCII names: which lengths there are for each first byte, case aside.
#[derive(Clone, Debug)]
struct Shapes(Box<[u64; 256]>);

/// How far the runs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunState {
    /// Runs that began at most at the write root's own depth.
    outer: u128,
    /// Runs that began deeper.
    nested: u128,
    stores: StoreState,
}

/// What the names read so far hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hit {
    /// A row that keeps the place from being written.
    pub(crate) write: bool,
    /// One that keeps it from being removed as well.
    pub(crate) remove: bool,
}

/// Too many rows for the bits of a state.
#[derive(Debug)]
pub(crate) struct TooManyRows;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    from: From,
    /// The states that it leads to.
    to: u128,
    /// Whether a row ends here, and then whether what it names may be removed in nested places.
    row: Option<Removable>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Removable(bool);

/// Where a step starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// Anywhere: the first name of a run.
    Anywhere,
    /// The same, but not in a store of packages.
    Projects,
    /// Behind other names.
    State(u128),
}

/// Whether the path has led into a store of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoreState {
    /// Not yet; the bits are beginnings of stores.
    Outside(u32),
    Inside,
}

impl RunState {
    /// Whether no row has begun that goes on below.
    pub(crate) const fn is_idle(self) -> bool {
        self.outer == 0 && self.nested == 0
    }
}

impl ProtectedNames {
    /// Compiles the rows.
    pub(crate) fn new(rows: &Protection) -> Result<Self, TooManyRows> {
        let mut builder = Builder::default();
        for store in DEPENDENCY_STORES {
            let first = store.split('/').next().unwrap_or_default();
            builder.names.store_beginnings.add(first);
        }
        for row in rows.iter() {
            builder.add(row)?;
        }
        Ok(builder.names)
    }

    /// Whether no name leads to anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.any_name.is_empty()
    }

    /// Reads a name. `nested` tells whether the name lies deeper than right below the write root.
    pub(crate) fn read(&self, state: &mut RunState, name: &[u8], nested: bool) -> Hit {
        let mut hit = Hit::default();
        let stores =
            if state.stores == StoreState::default() && !self.store_beginnings.may_have(name) {
                state.stores
            } else {
                state.stores.after(name)
            };
        let mut next = RunState {
            outer: state.outer & self.looping,
            nested: state.nested & self.looping,
            stores,
        };
        // Nothing has begun, and nothing begins here.
        if state.outer | state.nested == 0 && !self.beginnings.may_have(name) {
            *state = next;
            return hit;
        }
        let folded = fold_into(name);
        let named = folded.and_then(|folded| self.edges.get(folded.as_bytes()));
        for edge in named.into_iter().flatten().chain(&self.any_name) {
            let begins = match edge.from {
                From::Anywhere => true,
                From::Projects => state.stores != StoreState::Inside,
                From::State(_) => false,
            };
            let goes_on = |runs: u128| matches!(edge.from, From::State(own) if runs & own != 0);
            let in_outer = goes_on(state.outer) || (begins && !nested);
            let in_nested = goes_on(state.nested) || (begins && nested);
            if in_outer {
                next.outer |= edge.to;
            }
            if in_nested {
                next.nested |= edge.to;
            }
            if let Some(Removable(removable)) = edge.row {
                hit.write |= in_outer || in_nested;
                hit.remove |= in_outer || (in_nested && !removable);
            }
        }
        *state = next;
        hit
    }
}

/// The rows as a tree of names while it grows.
#[derive(Debug, Default)]
struct Builder {
    names: ProtectedNames,
    /// The state behind some names of a row, by whether stores count, the names before and how
    /// the next name is to be taken.
    states: BTreeMap<(bool, Vec<String>), u32>,
}

impl Builder {
    fn add(&mut self, row: &ProtectedPath) -> Result<(), TooManyRows> {
        let &ProtectedPath {
            path,
            in_dependencies,
            group,
            reason: _,
        } = row;
        let removable = Removable(group.is_removable_when_nested());
        let first = if in_dependencies {
            From::Anywhere
        } else {
            From::Projects
        };
        let names: Vec<String> = path.split('/').map(str::to_ascii_lowercase).collect();
        let mut from = first;
        if let Some(name) = names.first() {
            self.names.beginnings.add(name);
        }
        for (index, name) in names.iter().enumerate() {
            if name == "**" {
                // Reached together with the state before it.
                continue;
            }
            let before = names.get(..=index).unwrap_or_default();
            let behind = names.get(index + 1..).unwrap_or_default();
            let edge = if behind.is_empty() {
                Edge {
                    from,
                    to: 0,
                    row: Some(removable),
                }
            } else {
                let mut state = 1 << self.state(in_dependencies, before)?;
                if behind.first().is_some_and(|name| name == "**") {
                    let before = names.get(..=index + 1).unwrap_or_default();
                    state = 1 << self.state(in_dependencies, before)?;
                    self.names.looping |= state;
                }
                Edge {
                    from,
                    to: state,
                    row: None,
                }
            };
            let edges = if name == "*" {
                &mut self.names.any_name
            } else {
                let folded = name.as_bytes().into();
                self.names.edges.entry(folded).or_default()
            };
            if !edges.contains(&edge) {
                edges.push(edge);
            }
            from = From::State(edge.to);
        }
        Ok(())
    }

    fn state(&mut self, in_dependencies: bool, names: &[String]) -> Result<u32, TooManyRows> {
        let fresh = u32::try_from(self.states.len()).map_err(|_too_many| TooManyRows)?;
        let key = (in_dependencies, names.to_vec());
        let state = *self.states.entry(key).or_insert(fresh);
        if state < u128::BITS {
            Ok(state)
        } else {
            Err(TooManyRows)
        }
    }
}

impl Shapes {
    /// Adds a name; every name is ASCII and shorter than 64 bytes.
    fn add(&mut self, name: &str) {
        let first = name.bytes().next().unwrap_or_default();
        if let Some(lengths) = self.0.get_mut(usize::from(first.to_ascii_lowercase())) {
            *lengths |= 1 << (name.len() & 63);
        }
    }

    /// Whether the name can be one of them; what is not ASCII always can.
    fn may_have(&self, name: &[u8]) -> bool {
        if !name.is_ascii() {
            return true;
        }
        let first = name.first().copied().unwrap_or_default();
        let lengths = self.0.get(usize::from(first.to_ascii_lowercase()));
        lengths.is_some_and(|lengths| name.len() < 64 && lengths >> name.len() & 1 == 1)
    }
}

impl Default for Shapes {
    fn default() -> Self {
        Self(Box::new([0; 256]))
    }
}

impl Hit {
    /// Both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            write: self.write || other.write,
            remove: self.remove || other.remove,
        }
    }
}

impl StoreState {
    fn after(self, name: &[u8]) -> Self {
        let Self::Outside(begun) = self else {
            return Self::Inside;
        };
        let mut next = 0;
        let mut bit = 1;
        for store in DEPENDENCY_STORES {
            // The bit of a name means that the names before it have just been read.
            let mut reached = true;
            for (index, own) in store.split('/').enumerate() {
                if index > 0 {
                    reached = begun & bit != 0;
                    bit <<= 1;
                }
                if reached && own.as_bytes() == name {
                    let is_last = store.split('/').count() == index + 1;
                    if is_last {
                        return Self::Inside;
                    }
                    next |= bit;
                }
            }
        }
        Self::Outside(next)
    }
}

impl Default for StoreState {
    fn default() -> Self {
        Self::Outside(0)
    }
}
