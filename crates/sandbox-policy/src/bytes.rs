//! What bytes a text has, told in one go: thousands of entries are asked, and most have nothing special.

/// Classes of bytes, up to eight: a bit each.
pub(crate) struct ByteClasses([u8; 256]);

/// What is in a text.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The classes of its bytes.
    pub(crate) classes: u8,
    /// The classes that neighbours have in common.
    pub(crate) doubled: u8,
}

impl ByteClasses {
    /// The members of classes, each with its bit. A byte that is in none has those of `others`.
    pub(crate) const fn new(lists: &[(&[u8], u8)], others: u8) -> Self {
        let mut classes = [0; 256];
        let mut rest: &mut [u8] = &mut classes;
        let mut byte = 0_u8;
        while let Some((class, after)) = rest.split_first_mut() {
            *class = class_of(byte, lists, others);
            byte = byte.wrapping_add(1);
            rest = after;
        }
        Self(classes)
    }

    /// Reads a text; `before` are the classes of what stands before it.
    pub(crate) fn read(&self, text: &[u8], before: u8) -> Seen {
        let (mut classes, mut doubled, mut before) = (0, 0, before);
        // No branch depends on the text: thousands of them would be foreseen wrongly.
        for byte in text {
            let class = self.0.get(usize::from(*byte)).copied().unwrap_or_default();
            classes |= class;
            doubled |= class & before;
            before = class;
        }
        Seen { classes, doubled }
    }
}

const fn class_of(byte: u8, lists: &[(&[u8], u8)], others: u8) -> u8 {
    let mut found = 0;
    let mut lists = lists;
    while let Some(((members, class), after)) = lists.split_first() {
        if is_among(byte, members) {
            found |= *class;
        }
        lists = after;
    }
    if found == 0 { others } else { found }
}

const fn is_among(byte: u8, members: &[u8]) -> bool {
    let mut members = members;
    while let Some((member, after)) = members.split_first() {
        if *member == byte {
            return true;
        }
        members = after;
    }
    false
}
