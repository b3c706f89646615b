//! Protected paths below the write roots, whether they exist or not.
//!
//! A row is an expression that matches its places in any directory, so that no root has to be
//! spelt. What a root opens (because it is such a place itself, or lies in one) is let out of the
//! expression, and closed again where the row's names come once more further down.
//!
//! Three things differ from the policy's own verdict, the first two only by being stricter: inside a
//! store of packages that lies in another store, or in a place that a root opens, a row may hold
//! although it need not; what may be removed in nested repositories may not be removed here, as Seatbelt can't tell a removal from
//! what would be planted afterwards. The third is not: a directory may be moved into a store of
//! packages and out again, as installing packages does nothing else.

use sandbox_policy::{
    AbsolutePath, DEPENDENCY_STORES, FilesystemPolicy, LayerId, PathPattern, ProtectedGroup,
    ProtectedPath,
};

use super::{
    ProfileError,
    closed::{Closed, matches},
    fold,
    glob::{REGEX_LIMIT, push_escaped},
    parameters::Parameters,
    sbpl::{Filter, Regex, VnodeType},
};

/// What the rows close.
pub(crate) fn closed(
    policy: &FilesystemPolicy,
    parameters: &mut Parameters,
) -> Result<Closed, ProfileError> {
    let mut closed = Closed {
        filters: Vec::new(),
        pins: Vec::new(),
        loose_pins: Vec::new(),
    };
    let roots = Roots::new(policy);
    if roots.protected.is_empty() || policy.protected.is_empty() {
        return Ok(closed);
    }
    let opened = roots.opened(policy, parameters)?;
    for in_dependencies in [true, false] {
        let rows: Vec<_> = policy
            .protected
            .iter()
            .filter(|row| row.in_dependencies == in_dependencies)
            .collect();
        let exempt = if in_dependencies {
            Vec::new()
        } else {
            vec![packages(&rows)]
        };
        let exceptions: Vec<_> = opened.iter().chain(&exempt).cloned().collect();
        let (special, plain): (Vec<&'static ProtectedPath>, Vec<_>) =
            (rows.iter().copied()).partition(|row| !roots.opening(row).is_empty());
        let plain = plain.iter().map(|row| expression(row, 1));
        let mut filters = alternatives("^.*/(", plain, ")(/.*)?$");
        for row in special {
            filters.extend(roots.special(row, parameters));
        }
        let region = |filters| any(filters).map(|filter| filter.except(exceptions.clone()));
        closed.filters.extend(region(filters));
        let ways = rows.iter().flat_map(|row| ways(row));
        let (loose, fixed): (Vec<_>, Vec<_>) = ways.partition(|way| way.is_loose);
        let texts = |ways: Vec<Way>| {
            let mut texts: Vec<_> = ways.into_iter().map(|way| way.expression).collect();
            texts.sort_unstable();
            texts.dedup();
            alternatives("^.*/(", texts.into_iter(), ")$")
        };
        closed.pins.extend(region(texts(fixed)));
        let loose = region(texts(loose));
        (closed.loose_pins).extend(loose.map(|pin| pin.of_type(VnodeType::Directory)));
    }
    Ok(closed)
}

/// The literal write roots.
struct Roots {
    /// Those in which the rows hold.
    protected: Vec<AbsolutePath>,
    /// Directories for temporary files, in which they don't.
    temporary: Vec<AbsolutePath>,
}

impl Roots {
    fn new(policy: &FilesystemPolicy) -> Self {
        let (mut protected, mut temporary) = (Vec::new(), Vec::new());
        for allow in &policy.allow_write {
            let root = match &allow.rule.pattern {
                PathPattern::Subtree(root) => root,
                PathPattern::Glob(glob) => glob.literal(),
            };
            if allow.layer == LayerId::TEMPORARY {
                temporary.push(root.clone());
            } else {
                protected.push(root.clone());
            }
        }
        Self {
            protected,
            temporary,
        }
    }

    /// Where no row holds: what patterns open, and directories for temporary files.
    fn opened(
        &self,
        policy: &FilesystemPolicy,
        parameters: &mut Parameters,
    ) -> Result<Vec<Filter>, ProfileError> {
        let mut opened = Vec::new();
        for allow in &policy.allow_write {
            if let PathPattern::Glob(glob) = &allow.rule.pattern {
                opened.push(matches(glob)?);
            }
        }
        for root in &self.temporary {
            let inner = self.protected.iter().filter(|inner| inner.is_within(root));
            let inner = inner.map(|inner| parameters.subpath(inner)).collect();
            opened.push(parameters.subpath(root).except(inner));
        }
        Ok(opened)
    }

    /// The roots at or below a place of the row.
    fn opening(&self, row: &'static ProtectedPath) -> Vec<&AbsolutePath> {
        let roots = self.protected.iter();
        roots
            .filter(|root| row.places_on_the_way(root) > 0)
            .collect()
    }

    /// The filters of a row that some roots open.
    fn special(&self, row: &'static ProtectedPath, parameters: &mut Parameters) -> Vec<Filter> {
        let opening = self.opening(row);
        let regex = |times| {
            let expression = expression(row, times);
            Filter::Regex(Regex(format!("^.*/{expression}(/.*)?$")))
        };
        let elsewhere = opening
            .iter()
            .map(|root| parameters.subpath(root))
            .collect();
        let mut filters = vec![regex(1).except(elsewhere)];
        for root in &opening {
            let inner = opening
                .iter()
                .filter(|inner| *inner != root && inner.is_within(root));
            let inner = inner.map(|inner| parameters.subpath(inner)).collect();
            let again = regex(row.places_on_the_way(root) + 1);
            let below = Filter::All(vec![parameters.subpath(root), again]);
            filters.push(below.except(inner));
        }
        filters
    }
}

/// A directory on the way to a row's places.
struct Way {
    expression: String,
    /// Whether it may be created: git does, while it works.
    is_loose: bool,
}

fn ways(row: &'static ProtectedPath) -> Vec<Way> {
    let names: Vec<&str> = row.path.split('/').collect();
    (1..names.len())
        .filter_map(|length| names.get(..length))
        .filter(|names| names.last() != Some(&"**") || names.len() > 1)
        .map(|names| {
            let is_wild = names.iter().any(|name| name.starts_with('*'));
            let is_worktrees = row.group == ProtectedGroup::Git && names.contains(&"worktrees");
            Way {
                expression: joined(names),
                is_loose: is_wild || is_worktrees,
            }
        })
        .collect()
}

/// What a row does not hold for: what lies in a store of packages, unless the path has a place of a
/// row on the way to a store.
fn packages(rows: &[&'static ProtectedPath]) -> Filter {
    let exact = |name: &str| {
        let mut text = String::new();
        name.chars()
            .for_each(|character| push_escaped(&mut text, character));
        text
    };
    let stores: Vec<_> = DEPENDENCY_STORES.iter().map(|store| exact(store)).collect();
    let stores = stores.join("|");
    let inside = Filter::Regex(Regex(format!("^.*/({stores})/.*$")));
    let after = format!(")/(.*/)?({stores})(/.*)?$");
    let before = rows.iter().map(|row| expression(row, 1));
    inside.except(alternatives("^.*/(", before, &after))
}

/// One filter for all of them.
fn any(mut filters: Vec<Filter>) -> Option<Filter> {
    if filters.len() > 1 {
        Some(Filter::Any(filters))
    } else {
        filters.pop()
    }
}

/// As few expressions as Seatbelt's limit permits.
fn alternatives(
    before: &str,
    alternatives: impl Iterator<Item = String>,
    after: &str,
) -> Vec<Filter> {
    let room = REGEX_LIMIT - before.len() - after.len();
    let mut groups: Vec<String> = Vec::new();
    for alternative in alternatives {
        match groups.last_mut() {
            Some(group) if group.len() + 1 + alternative.len() <= room => {
                group.push('|');
                group.push_str(&alternative);
            }
            _ => groups.push(alternative),
        }
    }
    groups
        .into_iter()
        .map(|group| Filter::Regex(Regex(format!("{before}{group}{after}"))))
        .collect()
}

/// The expression of a row whose last names come so many times.
fn expression(row: &ProtectedPath, times: usize) -> String {
    let (head, tail) = row
        .path
        .rsplit_once("/**/")
        .map_or((None, row.path), |(head, tail)| (Some(head), tail));
    let names = |path: &str| joined(&path.split('/').collect::<Vec<_>>());
    let mut text = head.map_or_else(String::new, |head| names(head) + "/(.*/)?");
    let tail = names(tail);
    text.push_str(&tail);
    for _ in 1..times {
        text.push_str("/(.*/)?");
        text.push_str(&tail);
    }
    text
}

fn joined(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            text.push('/');
        }
        match *name {
            "*" => text.push_str("[^/]+"),
            // The last name before it has got its `/` already: any directory below.
            "**" => text.push_str(".+"),
            _ => push_name(&mut text, name),
        }
    }
    text
}

/// Every spelling of a name. Pairs of letters that a ligature stands for can be that one character.
fn push_name(text: &mut String, name: &str) {
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let pair = LIGATURES.iter().find(|pair| rest.starts_with(**pair));
        let length = pair.map_or_else(|| first.len_utf8(), |pair| pair.len());
        let (now, after) = rest.split_at(length);
        if pair.is_some() {
            text.push('(');
        }
        now.chars().for_each(|letter| fold::push(text, letter));
        if pair.is_some() {
            text.push_str("|[^ -~]+)");
        }
        rest = after;
    }
}

/// Pairs of letters that one character can stand for.
const LIGATURES: [&str; 4] = ["ff", "fi", "fl", "st"];
