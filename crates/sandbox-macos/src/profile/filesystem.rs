//! Files: the order of the rules, and what each level decides.
//!
//! The last matching rule of an operation wins. Rules are therefore emitted as: what is allowed,
//! then what is denied, then the pins (see the `closed` module). Nothing is allowed again after a
//! denial: each denial carries its own exceptions (`require-not`), so that it is exact where it
//! stands and no order among denials matters. The one allow at the end, metadata of directories,
//! is of a finer operation than the denials before it.
//!
//! How a wildcard operation (`file-write*`) and a finer one (`file-write-unlink`) combine is not
//! documented. Both plausible readings (the finer one decides; the later one decides) give every
//! profile of ours the same meaning, because finer rules always come later. Tests hold both.

use sandbox_policy::{AbsolutePath, FilesystemPolicy, Firmness, PathPattern, ReadAllow, ReadDeny};

use super::{
    ProfileError, base,
    closed::{Closed, Writable, matches, root_directory},
    parameters::Parameters,
    protected,
    sbpl::{Filter, Form, Operation, Regex, Rule, VnodeType},
};
use crate::facts::HostFacts;

/// The rules about files, of an effective policy.
pub(crate) fn rules(
    policy: &FilesystemPolicy,
    facts: &HostFacts,
    parameters: &mut Parameters,
) -> Result<Vec<Form>, ProfileError> {
    let may_change = |path: &AbsolutePath| policy.judge_write(path).is_allowed();
    let writable = Writable {
        roots: write_roots(policy),
        may_change: &may_change,
    };
    let mut unreadable = Vec::new();
    let mut unwritable = Vec::new();
    for deny in &policy.deny_read {
        let exceptions = exceptions(deny, policy, facts, parameters)?;
        let closed = Closed::new(&deny.rule.pattern, &writable, parameters)?.except(&exceptions);
        if may_be_written(deny, policy) {
            // What can't be read can't be written.
            unwritable.push(closed.clone());
        }
        unreadable.push(closed);
    }
    for rule in &policy.deny_write {
        unwritable.push(Closed::new(&rule.pattern, &writable, parameters)?);
    }
    unwritable.push(protected::closed(policy, parameters)?);
    let mut forms = reading(&unreadable);
    forms.extend(writing(policy, &unwritable, parameters)?);
    forms.extend(pins(unreadable.into_iter().chain(unwritable)));
    Ok(forms)
}

fn reading(unreadable: &[Closed]) -> Vec<Form> {
    let mut forms = vec![
        Form::Comment("Reading: open, but for what is closed."),
        Rule::allow(&[Operation::FileRead], Vec::new()),
    ];
    let closed: Vec<Filter> = unreadable
        .iter()
        .flat_map(|closed| closed.filters.clone())
        .collect();
    if !closed.is_empty() {
        // What can't be read can't be run, and a clone would be a copy of it.
        let operations = [
            Operation::FileRead,
            Operation::FileClone,
            Operation::ProcessExec,
        ];
        forms.push(Rule::deny(&operations, closed));
        forms.push(Form::Comment(
            "Resolving a path looks at every directory on the way, closed ones too.",
        ));
        let directories = vec![Filter::Vnode(VnodeType::Directory)];
        forms.push(Rule::allow(&[Operation::FileReadMetadata], directories));
    }
    forms.push(Form::Comment(
        "Other sessions' terminals; `/dev/tty` is the command's own.",
    ));
    let terminals = vec![Filter::Regex(Regex(base::TERMINALS.to_owned()))];
    forms.push(Rule::deny(&[Operation::FileReadData], terminals));
    forms
}

fn writing(
    policy: &FilesystemPolicy,
    unwritable: &[Closed],
    parameters: &mut Parameters,
) -> Result<Vec<Form>, ProfileError> {
    let mut roots = Vec::new();
    for allow in &policy.allow_write {
        if let PathPattern::Glob(glob) = &allow.rule.pattern {
            roots.push(matches(glob)?);
        }
        roots.push(parameters.subpath(root(&allow.rule.pattern)));
    }
    let closed = unwritable.iter().flat_map(|closed| closed.filters.clone());
    let closed: Vec<Filter> = closed.collect();
    let mut forms = Vec::new();
    if !roots.is_empty() {
        forms.push(Form::Comment("Writing: closed, but for the write roots."));
        forms.push(Rule::allow(
            &[Operation::FileWrite],
            without_repetitions(roots),
        ));
    }
    if !closed.is_empty() {
        forms.push(Rule::deny(
            &[Operation::FileWrite],
            without_repetitions(closed),
        ));
    }
    forms.push(Form::Comment(
        "A hard link would give a file a second name, which no rule knows.",
    ));
    forms.push(Rule::deny(&[Operation::FileLink], Vec::new()));
    Ok(forms)
}

fn pins(closed: impl Iterator<Item = Closed>) -> Vec<Form> {
    let (mut pins, mut loose_pins) = (Vec::new(), Vec::new());
    for region in closed {
        pins.extend(region.pins);
        loose_pins.extend(region.loose_pins);
    }
    let mut forms = Vec::new();
    if !pins.is_empty() || !loose_pins.is_empty() {
        forms.push(Form::Comment(
            "Directories above closed paths keep their names, or the paths would change.",
        ));
    }
    if !pins.is_empty() {
        let operations = [Operation::FileWriteUnlink, Operation::FileWriteCreate];
        forms.push(Rule::deny(&operations, without_repetitions(pins)));
    }
    if !loose_pins.is_empty() {
        let filters = without_repetitions(loose_pins);
        forms.push(Rule::deny(&[Operation::FileWriteUnlink], filters));
    }
    forms
}

/// The allows that re-open something of a closed region. For an allowed subtree it is enough to
/// ask for its root: an allow is as specific as the deny exactly where the deny covers that root.
/// A pattern's match is as specific as can be.
fn exceptions(
    deny: &ReadDeny,
    policy: &FilesystemPolicy,
    facts: &HostFacts,
    parameters: &mut Parameters,
) -> Result<Vec<Filter>, ProfileError> {
    let closed = &deny.rule.pattern;
    let mut filters = Vec::new();
    if closed.region(&AbsolutePath::root()).is_some() {
        filters.push(root_directory());
        filters.extend(
            facts
                .aliases
                .iter()
                .map(|(alias, _)| parameters.literal(alias)),
        );
    }
    let allows = policy.allow_read.iter().chain(&policy.allow_write);
    for allow in allows.filter(|allow| may_reopen(deny.firmness, allow)) {
        if let PathPattern::Glob(glob) = &allow.rule.pattern
            && may_meet(beginning(closed), glob.static_prefix())
        {
            filters.push(matches(glob)?);
        }
        let root = root(&allow.rule.pattern);
        if closed.region(root).is_some() {
            filters.push(parameters.subpath(root));
        }
    }
    Ok(without_repetitions(filters))
}

/// Whether a write rule opens anything of a region that is closed for reading. A preset that closes
/// the whole disk has hundreds of exceptions; saying them twice for nothing makes a slow profile.
fn may_be_written(deny: &ReadDeny, policy: &FilesystemPolicy) -> bool {
    let PathPattern::Subtree(closed) = &deny.rule.pattern else {
        return true;
    };
    policy.allow_write.iter().any(|allow| {
        let is_reopened =
            may_reopen(deny.firmness, allow) && root(&allow.rule.pattern).is_within(closed);
        !is_reopened && may_meet(closed, beginning(&allow.rule.pattern))
    })
}

fn may_reopen(firmness: Firmness, allow: &ReadAllow) -> bool {
    match firmness {
        Firmness::Default => true,
        Firmness::Layer(layer) => layer == allow.layer,
        Firmness::Final => false,
    }
}

fn may_meet(one: &AbsolutePath, other: &AbsolutePath) -> bool {
    one.is_within(other) || other.is_within(one)
}

/// The subtree that a pattern names: for a glob, the one that its text spells literally.
fn root(pattern: &PathPattern) -> &AbsolutePath {
    match pattern {
        PathPattern::Subtree(root) => root,
        PathPattern::Glob(glob) => glob.literal(),
    }
}

/// The directory that everything a pattern names lies in.
fn beginning(pattern: &PathPattern) -> &AbsolutePath {
    match pattern {
        PathPattern::Subtree(root) => root,
        PathPattern::Glob(glob) => glob.static_prefix(),
    }
}

fn write_roots(policy: &FilesystemPolicy) -> Vec<AbsolutePath> {
    policy
        .allow_write
        .iter()
        .map(|allow| beginning(&allow.rule.pattern).clone())
        .collect()
}

fn without_repetitions(filters: Vec<Filter>) -> Vec<Filter> {
    let mut kept: Vec<Filter> = Vec::new();
    for filter in filters {
        if !kept.contains(&filter) {
            kept.push(filter);
        }
    }
    kept
}
