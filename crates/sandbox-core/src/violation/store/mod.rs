//! Where violations are kept, counted and handed on.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Instant, SystemTime},
};

use sandbox_policy::{Denial, DenialReason, Operation, visible};
use sandbox_settings::IgnoredViolation;
use tokio::sync::mpsc;

use super::{
    Remedy, Untold, Violation,
    limit::{Admission, Limiter},
};

/// The violations of a sandbox. Clones are handles of the same store.
///
/// It keeps the latest [`ViolationStore::CAPACITY`] and counts all. What comes too fast to be told one
/// by one is counted only ([`ViolationStore::untold`]): of what looks the same, 64 are told in a second, of
/// all, 2,000.
#[derive(Clone)]
pub struct ViolationStore(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    hasher: RandomState,
    ignored: Vec<IgnoredViolation>,
}

struct State {
    latest: VecDeque<Arc<Violation>>,
    total: u64,
    /// Hashes of those that tell a reader different things.
    distinct: HashSet<u64>,
    limiter: Limiter,
    subscribers: Vec<(u64, Subscriber)>,
    next_subscriber: u64,
}

type Subscriber = Arc<dyn Fn(&Arc<Violation>) + Send + Sync>;

/// A subscriber's place in the store; it is told of nothing more when this is dropped.
#[must_use]
pub struct Subscription {
    store: Weak<Shared>,
    number: u64,
}

/// Violations as they happen.
#[derive(Debug)]
pub struct ViolationStream {
    receiver: mpsc::Receiver<Arc<Violation>>,
    _subscription: Subscription,
}

/// A refusal as its source tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'r> {
    pub(crate) command: &'r Arc<str>,
    pub(crate) operation: Operation,
    pub(crate) call: Option<&'static str>,
    pub(crate) denial: &'r Denial,
    /// Whether it went on all the same.
    pub(crate) permitted: bool,
}

/// Who was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusee {
    pub(crate) pid: Option<i32>,
    pub(crate) program: Option<String>,
    pub(crate) executable: Option<String>,
}

impl ViolationStore {
    /// Violations that are kept.
    pub const CAPACITY: usize = 1024;

    /// Violations that are told apart when their number is told.
    pub const DISTINCT: usize = 50_000;

    /// Characters of an object that are kept: a path has 4095 at most.
    const LONGEST: usize = 4096;

    pub(crate) fn new(ignored: Vec<IgnoredViolation>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                latest: VecDeque::new(),
                total: 0,
                distinct: HashSet::new(),
                limiter: Limiter::new(Instant::now()),
                subscribers: Vec::new(),
                next_subscriber: 0,
            }),
            hasher: RandomState::new(),
            ignored,
        }))
    }

    /// The latest violations, oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Arc<Violation>> {
        self.0.state().latest.iter().cloned().collect()
    }

    /// The latest of one command.
    #[must_use]
    pub fn of_command(&self, key: &str) -> Vec<Arc<Violation>> {
        let state = self.0.state();
        let latest = state.latest.iter();
        latest.filter(|it| &*it.command == key).cloned().collect()
    }

    /// How many there were in all, those included that are no longer kept or were never told.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.state().total
    }

    /// How many there were that tell a reader different things ([`Violation::is_like`]), those of
    /// permissive runs that went on aside; no more than [`ViolationStore::DISTINCT`] are told apart.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.0.state().distinct.len()
    }

    /// What was counted until now and told by none of the violations. At the end of the commands, these
    /// and those that were told are all.
    #[must_use]
    pub fn untold(&self) -> Untold {
        self.0.state().limiter.untold()
    }

    /// Forgets those that are kept. The total goes on.
    pub fn clear(&self) {
        self.0.state().latest.clear();
    }

    /// Has a function called with each violation from now on, while the refused call waits for its
    /// answer: it must not wait for anybody.
    pub fn subscribe(
        &self,
        function: impl Fn(&Arc<Violation>) + Send + Sync + 'static,
    ) -> Subscription {
        let mut state = self.0.state();
        let number = state.next_subscriber;
        state.next_subscriber += 1;
        state.subscribers.push((number, Arc::new(function)));
        Subscription {
            store: Arc::downgrade(&self.0),
            number,
        }
    }

    /// The violations from now on. Those that find `capacity` others waiting (at least one) are only
    /// counted and kept in the store.
    #[must_use]
    pub fn stream(&self, capacity: usize) -> ViolationStream {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let subscription = self.subscribe(move |violation| {
            // Nobody waits for a reader that does not read.
            sender.try_send(Arc::clone(violation)).unwrap_or(());
        });
        ViolationStream {
            receiver,
            _subscription: subscription,
        }
    }

    /// The standard error of a command with what it was refused, between tags, as upstream's tools
    /// expect it; unchanged if that was nothing.
    #[must_use]
    pub fn annotate_stderr(&self, key: &str, stderr: &str) -> String {
        match self.block(key) {
            Some(block) => format!("{stderr}\n{block}"),
            None => stderr.to_owned(),
        }
    }

    /// The block alone: each line once, without a line break at the end.
    #[must_use]
    pub fn block(&self, key: &str) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        let refused = self.of_command(key).into_iter();
        for violation in refused.filter(|it| !it.permitted) {
            let line = violation.line();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let lines = lines.join("\n");
        let block = format!("<sandbox_violations>\n{lines}\n</sandbox_violations>");
        (!lines.is_empty()).then_some(block)
    }

    /// Takes a refusal. `who` is asked only if it is told.
    pub(crate) fn report(&self, refused: Refused<'_>, who: impl FnOnce() -> Refusee) {
        let kind = (self.0.hasher).hash_one((
            refused.command,
            refused.operation,
            refused.call,
            &refused.denial.object,
            refused.permitted,
        ));
        let admission = {
            let mut state = self.0.state();
            let admission = state.limiter.admit(kind, Instant::now());
            if admission == Admission::Count {
                state.total += 1;
            }
            admission
        };
        let repeats = match admission {
            Admission::Tell { repeats } => repeats,
            Admission::Overflow => return self.count_other(refused),
            Admission::Count | Admission::Ignore => return,
        };
        let violation = Arc::new(refused.violation(who(), repeats));
        let subscribers: Vec<Subscriber> = {
            let mut state = self.0.state();
            if self.0.is_ignored(&violation) {
                state.limiter.ignore(kind);
                return;
            }
            state.total += 1;
            state.limiter.told(kind, &violation);
            self.0.tell_apart(&mut state, refused);
            if state.latest.len() == Self::CAPACITY {
                state.latest.pop_front();
            }
            state.latest.push_back(Arc::clone(&violation));
            let subscribers = state.subscribers.iter();
            subscribers
                .map(|(_, function)| Arc::clone(function))
                .collect()
        };
        for tell in subscribers {
            tell(&violation);
        }
    }

    /// Counts one of too many kinds.
    fn count_other(&self, refused: Refused<'_>) {
        let is_ignored = !self.0.ignored.is_empty()
            && (self.0).is_ignored(&refused.violation(Refusee::default(), 0));
        if !is_ignored {
            let mut state = self.0.state();
            state.total += 1;
            state.limiter.count_other();
            self.0.tell_apart(&mut state, refused);
        }
    }
}

impl Refused<'_> {
    fn violation(self, who: Refusee, repeats: u64) -> Violation {
        let Self {
            command,
            operation,
            call,
            denial,
            permitted,
        } = self;
        let Refusee {
            pid,
            program,
            executable,
        } = who;
        let rule = (denial.rule.as_ref()).map(|(rule, origin)| (inert(rule), origin.clone()));
        Violation {
            time: SystemTime::now(),
            command: Arc::clone(command),
            pid,
            program: program.as_deref().map(inert),
            executable: executable.as_deref().map(inert),
            operation,
            call,
            remedy: if permitted && denial.reason == DenialReason::ReadDenied {
                Some(Remedy::reopening(&denial.object))
            } else {
                Remedy::new(denial.reason, &denial.object, rule.as_ref())
            },
            object: inert(&denial.object),
            reason: denial.reason,
            rule,
            note: denial.note.as_deref().map(inert),
            repeats,
            permitted,
        }
    }
}

/// A text in which nothing deceives, and which has an end.
fn inert(text: &str) -> String {
    let cut = text.char_indices().nth(ViolationStore::LONGEST);
    match cut {
        Some((end, _)) => visible(text.get(..end).unwrap_or_default()) + "…",
        None => visible(text),
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every point where a panic could have left it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a refusal that tells a reader something new, as [`Violation::is_like`] has it.
    fn tell_apart(&self, state: &mut State, refused: Refused<'_>) {
        if refused.permitted || state.distinct.len() >= ViolationStore::DISTINCT {
            return;
        }
        let Denial {
            reason,
            object,
            rule,
            note,
        } = refused.denial;
        let text = (refused.operation, object, reason, rule, note);
        state.distinct.insert(self.hasher.hash_one(text));
    }

    fn is_ignored(&self, violation: &Violation) -> bool {
        let concerns = |rule: &&IgnoredViolation| {
            rule.command == "*" || violation.command.contains(&rule.command)
        };
        let mut rules = self.ignored.iter().filter(concerns).peekable();
        if rules.peek().is_none() {
            return false;
        }
        let (line, text) = (violation.line(), violation.to_string());
        rules.any(|rule| line.contains(&rule.text) || text.contains(&rule.text))
    }
}

impl ViolationStream {
    /// The next one; none once the sandbox and all its commands are gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Violation>> {
        self.receiver.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            let mut state = store.state();
            state
                .subscribers
                .retain(|(number, _)| *number != self.number);
        }
    }
}

impl fmt::Debug for ViolationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViolationStore")
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
