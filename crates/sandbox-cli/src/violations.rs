//! What was refused: a JSON line for each refusal while the command runs, and a few lines or upstream's
//! block when it has ended.

use std::{
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use sandbox_core::{
    AbsolutePath, FilesystemPolicy, Report, Subscription, Violation, ViolationStore,
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

/// Writes lines as refusals happen. Neither the command nor the supervisor waits for it: if its reader
/// is slow, lines are left out.
#[derive(Debug)]
pub(crate) struct Writer {
    subscription: Subscription,
    ended: mpsc::Receiver<()>,
}

impl Destination {
    /// Before anything else is opened: the number may be none by then, or one of ours.
    pub(crate) fn open(
        &self,
        base: &AbsolutePath,
        policy: &FilesystemPolicy,
    ) -> Result<File, DestinationError> {
        match self {
            Self::File(path) => {
                let opened = sandbox_core::append_to(base, path, policy);
                opened.map_err(|source| DestinationError::File {
                    path: path.clone(),
                    source,
                })
            }
            Self::Descriptor(number) => {
                let number = *number;
                let duplicate = sandbox_core::inherited_descriptor(number);
                duplicate.map_err(|source| DestinationError::Descriptor { number, source })
            }
        }
    }
}

impl Writer {
    pub(crate) fn start(file: File, store: &ViolationStore) -> Result<Self, DestinationError> {
        let (sender, receiver) = mpsc::sync_channel::<Arc<Violation>>(WAITING);
        let (end, ended) = mpsc::channel();
        let write = move || {
            write(file, &receiver);
            drop(end);
        };
        thread::Builder::new()
            .name("srt-violations".into())
            .spawn(write)
            .map_err(DestinationError::Thread)?;
        let subscription = store.subscribe(move |violation| {
            sender.try_send(Arc::clone(violation)).unwrap_or(());
        });
        Ok(Self {
            subscription,
            ended,
        })
    }

    /// Waits until all lines are written, but not for long: the reader may have stopped reading.
    pub(crate) fn finish(self) {
        drop(self.subscription);
        match self.ended.recv_timeout(PATIENCE) {
            // Nothing is ever sent: the writer has ended, or it still waits for its reader.
            Ok(()) | Err(_) => {}
        }
    }
}

fn write(mut file: File, violations: &mpsc::Receiver<Arc<Violation>>) {
    while let Ok(first) = violations.recv() {
        let mut lines = Vec::new();
        for violation in std::iter::once(first).chain(violations.try_iter().take(BATCH)) {
            if serde_json::to_writer(&mut lines, &*violation).is_ok() {
                lines.push(b'\n');
            }
        }
        // A reader that went away is no reason to fail.
        if file.write_all(&lines).is_err() {
            return;
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
    if let Some(more) = distinct.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("refused: {more} others"));
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
