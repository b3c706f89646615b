//! Literal rules by path.
//!
//! One table holds every path that a rule names and every directory above one, by a hash that can
//! be computed name by name. A question walks down its path and stops where the table has nothing:
//! nothing lies below either.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::events::Events;

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The paths of the rules, one after the other.
    texts: Vec<u8>,
    nodes: HashMap<u64, Node, BuildHasherDefault<Identity>>,
    /// The directory of the latest path, with `/` at its end.
    latest: Option<(Box<[u8]>, PathHash)>,
}

/// A path of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    start: u32,
    length: u32,
    /// What its rules do; nothing if it only leads to others.
    pub(super) events: Events,
}

/// Two paths have the same hash, or the texts are too long: the table can't hold them.
#[derive(Debug)]
pub(super) struct Collision;

/// The place of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathHash(u64);

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

impl Tree {
    /// A table for so many rules.
    pub(super) fn with_capacity(rules: usize) -> Self {
        Self {
            texts: Vec::with_capacity(rules * 32),
            nodes: HashMap::with_capacity_and_hasher(
                rules + rules / 4,
                BuildHasherDefault::default(),
            ),
            latest: None,
        }
    }

    /// Adds what a rule does at its path.
    pub(super) fn add(&mut self, path: &[u8], events: Events) -> Result<(), Collision> {
        let start = self.texts.len();
        self.texts.extend_from_slice(path);
        // Neighbours in a list are mostly neighbours in the tree.
        let name = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .map(|slash| slash + 1);
        let (directory, name) = path.split_at(name.unwrap_or(0));
        let known = (self.latest.as_ref()).filter(|(latest, _)| **latest == *directory);
        let (mut hash, mut length) = match known {
            Some((_, hash)) if !name.is_empty() => (*hash, directory.len()),
            _ => self.add_directory(directory, start)?,
        };
        if !name.is_empty() {
            hash = hash.below(name);
            length = path.len();
        }
        let at = self.node(hash, start, length)?;
        if let Some(node) = self.nodes.get_mut(&at) {
            node.events = node.events.and(events);
        }
        Ok(())
    }

    /// Makes sure of the nodes of a directory, given with `/` at its end, and of all above. Returns its
    /// hash and how long its path is.
    fn add_directory(
        &mut self,
        directory: &[u8],
        start: usize,
    ) -> Result<(PathHash, usize), Collision> {
        let (mut hash, mut length) = (PathHash::ROOT, 1);
        self.node(hash, start, length)?;
        for name in directory
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            hash = hash.below(name);
            // The root's own separator is the first name's.
            length += name.len() + usize::from(length > 1);
            self.node(hash, start, length)?;
        }
        self.latest = Some((directory.into(), hash));
        Ok((hash, length))
    }

    /// What is known of the path that so hashes.
    pub(super) fn get(&self, hash: PathHash, path: &[u8]) -> Option<&Node> {
        let node = self.nodes.get(&hash.0)?;
        (self.text(node) == path).then_some(node)
    }

    fn text(&self, node: &Node) -> &[u8] {
        let place = |offset| usize::try_from(offset).ok();
        let text = place(node.start)
            .zip(place(node.length))
            .and_then(|(start, length)| self.texts.get(start..start.checked_add(length)?));
        text.unwrap_or_default()
    }

    /// Makes sure of a node for the path that these bytes of the texts are.
    fn node(&mut self, hash: PathHash, start: usize, length: usize) -> Result<u64, Collision> {
        let fresh = Node {
            start: u32::try_from(start).map_err(|_long| Collision)?,
            length: u32::try_from(length).map_err(|_long| Collision)?,
            events: Events::default(),
        };
        let known = *self.nodes.entry(hash.0).or_insert(fresh);
        if self.text(&known) == self.text(&fresh) {
            Ok(hash.0)
        } else {
            Err(Collision)
        }
    }
}

impl PathHash {
    /// The hash of `/`.
    pub(super) const ROOT: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The hash of an entry of this directory (FNV-1a over the path's bytes, and a last mixing for
    /// each name so that all bits count).
    pub(super) fn below(self, name: &[u8]) -> Self {
        let mut hash = self.0 ^ u64::from(b'/');
        for byte in name {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self((hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `u64` keys are hashed, by the method below; other bytes are taken in all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
