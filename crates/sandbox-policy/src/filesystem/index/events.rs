//! What rules do at one directory of a path.

use std::collections::BTreeMap;

use super::super::{Firmness, LayerId, Speaker};

/// What all rules that name one and the same directory do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Whether writing is denied from here on.
    pub(super) denies_write: bool,
    /// Whether that is said of this very path, and not by a pattern.
    pub(super) closes_link: bool,
    /// The firmness of the read denies that begin here.
    pub(super) closes: FirmnessSet,
    /// What of that, and of what began above, the allows that begin here re-open.
    pub(super) reopens: FirmnessSet,
    /// Whether a write root begins here.
    pub(super) root: Option<RootKind>,
    /// Whose files are shown from here on, where a rule says so.
    pub(super) whose: Option<Whose>,
}

/// Whose files are shown. Of rules about one directory the last of these decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// The host's: an allow to read names them.
    HostsToRead,
    /// A private directory's.
    Private,
    /// The host's: a write root.
    HostsToWrite,
}

/// What opens a directory for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootKind {
    /// A write root.
    Writable,
    /// A private directory.
    Scratch,
}

/// A set of values of [`Firmness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FirmnessSet(u64);

/// Which bit of a [`FirmnessSet`] stands for a layer.
#[derive(Debug)]
pub(super) struct LayerBits(BTreeMap<LayerId, u32>);

impl Events {
    /// Those of two rules, or of two sets of rules.
    pub(super) fn and(self, other: Self) -> Self {
        let root = match (self.root, other.root) {
            (Some(RootKind::Writable), _) | (_, Some(RootKind::Writable)) => {
                Some(RootKind::Writable)
            }
            (Some(RootKind::Scratch), _) | (_, Some(RootKind::Scratch)) => Some(RootKind::Scratch),
            (None, None) => None,
        };
        Self {
            denies_write: self.denies_write || other.denies_write,
            closes_link: self.closes_link || other.closes_link,
            closes: self.closes.union(other.closes),
            reopens: self.reopens.union(other.reopens),
            root,
            whose: self.whose.max(other.whose),
        }
    }
}

impl FirmnessSet {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What stands after the events of a deeper directory. An allow of the very directory that a
    /// deny names wins.
    pub(super) fn after(self, events: &Events) -> Self {
        Self((self.0 | events.closes.0) & !events.reopens.0)
    }

    /// What stands where this is re-opened too.
    pub(super) fn without(self, reopened: Self) -> Self {
        Self(self.0 & !reopened.0)
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl LayerBits {
    const DEFAULT: u64 = 1;
    const FINAL: u64 = 2;
    const FIRST_LAYER: u32 = 2;

    /// Gives each layer that denies a bit; `None` if there are too many.
    pub(super) fn of(denies: impl Iterator<Item = Firmness>) -> Option<Self> {
        let mut bits = BTreeMap::new();
        for firmness in denies {
            if let Firmness::Layer(layer) = firmness
                && !bits.contains_key(&layer)
            {
                let bit = Self::FIRST_LAYER + u32::try_from(bits.len()).ok()?;
                if bit >= u64::BITS {
                    return None;
                }
                bits.insert(layer, bit);
            }
        }
        Some(Self(bits))
    }

    /// A deny's own.
    pub(super) fn closed(&self, firmness: Firmness) -> FirmnessSet {
        FirmnessSet(match firmness {
            Firmness::Default => Self::DEFAULT,
            Firmness::Final => Self::FINAL,
            Firmness::Layer(layer) => self.layer(layer),
        })
    }

    /// What an allow re-opens.
    pub(super) fn reopened(&self, speaker: &Speaker) -> FirmnessSet {
        FirmnessSet(match speaker {
            Speaker::Layer(layer) => Self::DEFAULT | self.layer(*layer),
            Speaker::Scratch => !Self::FINAL,
        })
    }

    /// No bit for a layer that denies nothing.
    fn layer(&self, layer: LayerId) -> u64 {
        self.0.get(&layer).map_or(0, |bit| 1 << bit)
    }
}
