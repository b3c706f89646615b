//! What was enforced and what was refused.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use sandbox_policy::Denial;
use sandbox_proxy::{EventReceiver, Outcome};

/// A snapshot of a sandbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The layers and their state.
    pub layers: Vec<LayerReport>,
    /// What is not enforced exactly.
    pub notices: Vec<String>,
    /// The latest refusals of the proxies, oldest first.
    pub network_denials: Vec<NetworkDenial>,
    /// How many there were in all.
    pub network_denial_count: u64,
    /// The latest refused changes of files that the supervisor saw, oldest first. What a read-only
    /// mount refuses is not among them.
    pub file_denials: Vec<FileDenial>,
    /// How many there were in all.
    pub file_denial_count: u64,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerReport {
    /// Its name.
    pub name: &'static str,
    /// Its state.
    pub enforcement: Enforcement,
    /// Details.
    pub detail: String,
}

/// How far a layer is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further state must break every match"
)]
pub enum Enforcement {
    /// As asked for.
    Full,
    /// In part: the settings asked for less, or the host offers less.
    Partial,
    /// Not at all.
    None,
}

/// A refusal of a proxy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkDenial {
    /// When.
    pub time: SystemTime,
    /// What was refused, and why.
    pub denial: Denial,
}

/// A refusal of the supervisor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileDenial {
    /// When.
    pub time: SystemTime,
    /// The thread that was refused, as the host numbers it.
    pub thread: i32,
    /// What was refused, and why.
    pub denial: Denial,
}

/// Keeps the supervisors' refusals.
#[derive(Debug, Default)]
pub(crate) struct FileLog {
    state: Mutex<(VecDeque<FileDenial>, u64)>,
}

impl FileLog {
    /// Refusals that are kept.
    const CAPACITY: usize = 1024;

    /// Keeps a refusal.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux has a supervisor")
    )]
    pub(crate) fn push(&self, thread: i32, denial: Denial) {
        // The state is whole at every point where a panic could have left it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (latest, total) = &mut *state;
        *total += 1;
        if latest.len() == Self::CAPACITY {
            latest.pop_front();
        }
        latest.push_back(FileDenial {
            time: SystemTime::now(),
            thread,
            denial,
        });
    }

    fn collect(&self) -> (Vec<FileDenial>, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.0.iter().cloned().collect(), state.1)
    }
}

/// Collects the proxies' events when somebody asks, so that requests wait for nobody.
#[derive(Debug)]
pub(crate) struct NetworkLog {
    state: Mutex<LogState>,
}

#[derive(Debug)]
struct LogState {
    events: EventReceiver,
    latest: VecDeque<NetworkDenial>,
    total: u64,
}

impl NetworkLog {
    /// Events that may wait to be collected, and denials that are kept.
    pub(crate) const CAPACITY: usize = 1024;

    pub(crate) fn new(events: EventReceiver) -> Self {
        Self {
            state: Mutex::new(LogState {
                events,
                latest: VecDeque::new(),
                total: 0,
            }),
        }
    }

    fn collect(&self) -> (Vec<NetworkDenial>, u64) {
        // The state is whole at every point where a panic could have left it.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(event) = state.events.try_recv() {
            if let Outcome::Denied(denial) = event.outcome {
                state.total += 1;
                if state.latest.len() == Self::CAPACITY {
                    state.latest.pop_front();
                }
                state.latest.push_back(NetworkDenial {
                    time: event.time,
                    denial,
                });
            }
        }
        (state.latest.iter().cloned().collect(), state.total)
    }
}

impl Report {
    pub(crate) fn new(
        layers: Vec<LayerReport>,
        notices: Vec<String>,
        network: &NetworkLog,
        files: &FileLog,
    ) -> Self {
        let (network_denials, network_denial_count) = network.collect();
        let (file_denials, file_denial_count) = files.collect();
        Self {
            layers,
            notices,
            network_denials,
            network_denial_count,
            file_denials,
            file_denial_count,
        }
    }
}

impl LayerReport {
    pub(crate) fn new(name: &'static str, enforcement: Enforcement, detail: String) -> Self {
        Self {
            name,
            enforcement,
            detail,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            let state = match layer.enforcement {
                Enforcement::Full => "full",
                Enforcement::Partial => "partial",
                Enforcement::None => "none",
            };
            writeln!(f, "{}: {state} ({})", layer.name, layer.detail)?;
        }
        for notice in &self.notices {
            writeln!(f, "notice: {notice}")?;
        }
        let network = self.network_denials.iter().map(|refused| &refused.denial);
        let files = self.file_denials.iter().map(|refused| &refused.denial);
        for denial in network.chain(files) {
            writeln!(f, "refused: {denial}")?;
        }
        Ok(())
    }
}
