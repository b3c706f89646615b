//! Reports: calls that are refused whatever they name, and paths that could not be followed.

use sandbox_policy::{AbsolutePath, Denial, DenialReason, FileVerdict, Operation, shown};

use super::{
    Answering, World,
    caller::Caller,
    permit::Access,
    refusal::{Refusal, Who},
    request::{PathArgument, Request},
    rules::is_within,
};
use crate::{
    filter,
    plan::{FilterSpec, SyscallRule},
    sys::Errno,
};

/// The refused calls that the filter leaves to the supervisor, by number.
#[derive(Debug)]
pub(super) struct RefusedCalls {
    /// Numbers with indices of the filter's rules, sorted.
    numbers: Vec<(i64, usize)>,
}

impl RefusedCalls {
    pub(super) fn new(filter: &FilterSpec) -> Self {
        let rules = filter.rules().iter().enumerate();
        let reported = rules.filter(|(_, rule)| rule.is_reported());
        let mut numbers: Vec<_> = reported
            .filter_map(|(index, rule)| Some((filter::number(rule.name)?, index)))
            .collect();
        // By index within a number: of the rules for one call the first that holds decides.
        numbers.sort_unstable();
        Self { numbers }
    }

    fn rule<'f>(
        &self,
        filter: &'f FilterSpec,
        number: i64,
        arguments: &[u64; 6],
    ) -> Option<&'f SyscallRule> {
        let start = self.numbers.partition_point(|(other, _)| *other < number);
        let numbers = self.numbers.get(start..).unwrap_or_default().iter();
        let rules = numbers
            .take_while(|(other, _)| *other == number)
            .filter_map(|(_, index)| filter.rules().get(*index));
        rules
            .into_iter()
            .find(|rule| rule.tests.iter().all(|test| test.holds(arguments)))
    }
}

impl World {
    /// The error for a call that is refused whatever it names, after it was reported.
    pub(super) fn refuse_call(
        &self,
        number: i64,
        arguments: &[u64; 6],
        caller: Caller<'_>,
    ) -> Option<Errno> {
        let refused = &self.calls().refused;
        let rule = refused.rule(&self.rules.filter, number, arguments)?;
        let errno = filter::error(rule.action)?;
        (self.refused)(&Refusal {
            operation: rule.operation(),
            call: rule.name,
            denial: &rule.denial(arguments),
            permitted: false,
            who: Who::Waiting(caller),
        });
        Some(Errno::from_raw_os_error(errno))
    }
}

/// What was attempted with a file.
pub(super) fn operation_of(denial: &Denial) -> Operation {
    if denial.reason == DenialReason::ReadDenied {
        Operation::FileRead
    } else {
        Operation::FileWrite
    }
}

impl Answering<'_> {
    /// Tells of a refused file.
    pub(super) fn report(&self, denial: &Denial) {
        self.tell(operation_of(denial), denial);
    }

    /// Tells of what a permissive run permits.
    pub(super) fn observed(&self, denial: &Denial) {
        let operation = operation_of(denial);
        (self.world.refused)(&Refusal {
            operation,
            call: self.call,
            denial,
            permitted: true,
            who: Who::Waiting(self.view.caller),
        });
    }

    /// Tells of a refusal.
    pub(super) fn tell(&self, operation: Operation, denial: &Denial) {
        self.is_reported.set(true);
        (self.world.refused)(&Refusal {
            operation,
            call: self.call,
            denial,
            permitted: false,
            who: Who::Waiting(self.view.caller),
        });
    }

    /// Tells of a path that could not be followed because the policy closes a directory on the way, or
    /// the symlink that it leads through. Nothing is decided here.
    pub(super) fn report_closed_way(&self, request: Request) {
        if self.is_reported.get() {
            return;
        }
        for path in request.paths().into_iter().flatten() {
            let denial = self.lexical(path).and_then(|path| {
                let bytes = path.as_bytes();
                let closes_files = !is_within(bytes, b"/proc") && !is_within(bytes, b"/dev");
                let closed = || self.denial(bytes, Access::Read);
                closes_files.then(|| closed().or_else(|| self.closed_link(request, &path)))?
            });
            if let Some(denial) = denial {
                self.report(&denial);
                return;
            }
        }
    }

    /// The refusal of the symlink on the way to a path that nothing is changed through.
    fn closed_link(&self, request: Request, path: &AbsolutePath) -> Option<Denial> {
        let policy = self.world.rules.known_policy();
        let through = |link: AbsolutePath| policy.judge_through(&link).into_denial();
        request
            .changes()
            .then(|| path.ancestors().find_map(through))?
    }

    /// Tells of a place that the policy opens and a mount does not: a directory of the host's that is
    /// shown in a private one. Where a write root opens it, the host has it read-only: no rule does.
    pub(super) fn report_read_only(&self, request: Request) {
        let mut paths = request.paths().into_iter().flatten();
        let path = paths.find_map(|path| self.lexical(path));
        let Some(path) = path.filter(|_| !self.is_reported.get()) else {
            return;
        };
        let policy = self.world.rules.known_policy();
        let is_of_host = match policy.judge_write(&path) {
            FileVerdict::Allow(rule) => rule.is_some_and(|rule| !policy.scratch.contains(rule)),
            FileVerdict::Deny(_) => false,
        };
        if !is_of_host {
            let object = shown(path.as_bytes());
            let reason = DenialReason::WriteNotAllowed;
            self.report(&Denial::by_default(reason, object));
        }
    }

    /// A path as it was written, from the root on.
    fn lexical(&self, argument: PathArgument) -> Option<AbsolutePath> {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};
        let text = self.view.caller.text(argument.address).ok()?;
        let written = Path::new(OsStr::from_bytes(&text));
        let base = if text.starts_with(b"/") {
            AbsolutePath::root()
        } else {
            let base = self.view.caller.base(argument.directory).ok()?;
            let path = self.view.path_of(std::os::fd::AsFd::as_fd(&base)).ok()?;
            AbsolutePath::new(Path::new(OsStr::from_bytes(&path))).ok()?
        };
        AbsolutePath::resolve(&base, written).ok()
    }
}
