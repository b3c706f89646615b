//! What was refused: a JSON line for each refusal while the command runs, and a few lines or upstream's
//! block when it has ended.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use sandbox_core::{
    AbsolutePath, Appended, FilesystemPolicy, Origin, Report, Subscription, Violation,
    ViolationStore,
};

use crate::message;

/// Where a line goes for each refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A file, which is created if it is missing and added to if it is not.
    File(PathBuf),
    /// A descriptor that this process was started with.
    Descriptor(i32),
}

/// There is no such destination.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DestinationError {
    #[error("cannot write refusals to `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write refusals to descriptor {number}")]
    Descriptor {
        number: i32,
        #[source]
        source: io::Error,
    },
    #[error("cannot start the thread that writes refusals")]
    Thread(#[source] io::Error),
}

/// What lines go to.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    /// No command may write there.
    guarded: Option<AbsolutePath>,
}

/// Writes lines as refusals happen. Neither the command nor the supervisor waits for it: if its reader
/// is slow, lines are left out, and counted.
#[derive(Debug)]
pub(crate) struct Writer {
    subscription: Subscription,
    ended: mpsc::Receiver<Option<io::Error>>,
    lost: Arc<AtomicU64>,
}

impl Destination {
    /// Before anything else is opened: the number may be none by then, or one of ours. What is behind it
    /// is the caller's matter.
    pub(crate) fn open(
        &self,
        base: &AbsolutePath,
        policy: &FilesystemPolicy,
    ) -> Result<Log, DestinationError> {
        match self {
            Self::File(path) => {
                let opened = sandbox_core::append_to(base, path, policy);
                let Appended { file, guarded, .. } =
                    opened.map_err(|source| DestinationError::File {
                        path: path.clone(),
                        source,
                    })?;
                Ok(Log { file, guarded })
            }
            Self::Descriptor(number) => {
                let number = *number;
                let duplicate = sandbox_core::inherited_descriptor(number);
                let file =
                    duplicate.map_err(|source| DestinationError::Descriptor { number, source })?;
                Ok(Log {
                    file,
                    guarded: None,
                })
            }
        }
    }
}

impl Log {
    /// Closes it to commands: what they are refused is not theirs to rewrite.
    pub(crate) fn guard(&self, policy: &mut FilesystemPolicy) {
        if let Some(path) = &self.guarded {
            let origin = Origin::BuiltIn("refusals are written to it");
            sandbox_core::settings::guard(policy, path, origin);
        }
    }
}

impl Writer {
    pub(crate) fn start(log: Log, store: &ViolationStore) -> Result<Self, DestinationError> {
        let (sender, receiver) = mpsc::sync_channel::<Arc<Violation>>(WAITING);
        let (end, ended) = mpsc::channel();
        let lost = Arc::new(AtomicU64::new(0));
        let mut lines = Lines {
            file: log.file,
            error: None,
            lost: Arc::clone(&lost),
        };
        let all = store.clone();
        let write = move || {
            lines.follow(&receiver);
            lines.end(&all);
            // Nobody waits any more where this took too long.
            end.send(lines.error).unwrap_or(());
        };
        thread::Builder::new()
            .name("srt-violations".into())
            .spawn(write)
            .map_err(DestinationError::Thread)?;
        let full = Arc::clone(&lost);
        let subscription = store.subscribe(move |violation| {
            if sender.try_send(Arc::clone(violation)).is_err() {
                full.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self {
            subscription,
            ended,
            lost,
        })
    }

    /// Waits until all lines are written, but not for long: the reader may have stopped reading. Says what
    /// was not written.
    pub(crate) fn finish(self) -> Option<String> {
        drop(self.subscription);
        let ended = self.ended.recv_timeout(PATIENCE);
        let lost = self.lost.load(Ordering::Relaxed);
        match ended {
            Ok(Some(error)) => Some(format!(
                "{lost} lines about refusals could not be written: {error}"
            )),
            Ok(None) if lost > 0 => Some(format!(
                "{lost} lines about refusals were not written, as their reader was too slow"
            )),
            Ok(None) => None,
            Err(_) => Some(
                "the last lines about refusals were not written, as their reader does not read"
                    .to_owned(),
            ),
        }
    }
}

/// What the thread writes to.
struct Lines {
    file: File,
    /// Nothing is written after this.
    error: Option<io::Error>,
    lost: Arc<AtomicU64>,
}

impl Lines {
    fn follow(&mut self, violations: &mpsc::Receiver<Arc<Violation>>) {
        while let Ok(first) = violations.recv() {
            let rest = violations.try_iter().take(BATCH);
            let batch: Vec<_> = std::iter::once(first).chain(rest).collect();
            self.write(batch.iter().map(|it| serde_json::to_vec(&**it)));
        }
    }

    /// What was counted and not told.
    fn end(&mut self, store: &ViolationStore) {
        let untold = store.untold();
        self.write(untold.groups.iter().map(serde_json::to_vec));
        let others = untold.others_line();
        self.write(others.iter().map(serde_json::to_vec));
    }

    fn write(&mut self, lines: impl Iterator<Item = serde_json::Result<Vec<u8>>>) {
        let (mut text, mut count) = (Vec::new(), 0);
        for line in lines.flatten() {
            text.extend_from_slice(&line);
            text.push(b'\n');
            count += 1;
        }
        // A reader that went away is no reason to fail.
        if self.error.is_none() {
            self.error = self.file.write_all(&text).err();
        }
        if self.error.is_some() {
            self.lost.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// The lines to print: each distinct refusal once, and how many there are more.
pub(crate) fn summary(report: &Report) -> Vec<String> {
    let mut distinct: Vec<&Violation> = Vec::new();
    let refused = report.violations.iter();
    for violation in refused.filter(|it| !it.permitted) {
        if !distinct.iter().any(|known| known.is_like(violation)) {
            distinct.push(violation);
        }
    }
    let shown = distinct.iter().take(SHOWN);
    let mut lines: Vec<_> = shown.map(|violation| line(violation)).collect();
    // Of many, the report has the latest alone.
    let more = report.distinct_violations.saturating_sub(lines.len());
    if more > 0 {
        let is_all = report.distinct_violations < ViolationStore::DISTINCT;
        let about = if is_all { "" } else { "at least " };
        lines.push(format!("refused: {about}{more} others"));
    }
    lines
}

fn line(violation: &Violation) -> String {
    match &violation.remedy {
        Some(remedy) => format!("refused: {violation}; to allow it: {}", remedy.text),
        None => format!("refused: {violation}"),
    }
}

/// Prints upstream's block, as it is appended to the command's standard error.
pub(crate) fn print_block(store: &ViolationStore, command: &str) {
    let text = store.annotate_stderr(command, "");
    let mut stderr = io::stderr().lock();
    // Nobody is left to tell.
    stderr.write_all(text.as_bytes()).unwrap_or(());
}

/// Prints the few lines.
pub(crate) fn print_summary(report: &Report) {
    for line in summary(report) {
        message::say(format_args!("srt: {}", message::visible(&line)));
    }
}

/// Refusals that are printed.
const SHOWN: usize = 5;
/// Refusals that wait to be written.
const WAITING: usize = 8192;
/// Refusals that are written at once.
const BATCH: usize = 256;
/// How long a reader may take for what is left at the end.
const PATIENCE: Duration = Duration::from_secs(2);
