//! A sandbox: one policy, any number of commands.

use std::{ffi::OsString, sync::Arc};

use sandbox_policy::{AbsolutePath, Policy};
use sandbox_proxy::Proxy;
use sandbox_settings::Settings;

use crate::{
    builder::SandboxBuilder,
    command::Command,
    control::NetworkControl,
    error::BuildError,
    explain::{self, Attempt, Explanation},
    platform::Backend,
    report::Report,
    violation::ViolationStore,
};

/// Runs commands under one policy. Clones are handles of the same sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) working_directory: AbsolutePath,
    pub(crate) backend: Backend,
    pub(crate) proxy: Proxy,
    pub(crate) violations: ViolationStore,
    /// What is to be said of the settings.
    notices: Vec<String>,
}

impl Sandbox {
    /// A sandbox with the defaults of [`SandboxBuilder`].
    pub fn new(policy: Policy) -> Result<Self, BuildError> {
        Self::builder(policy).build()
    }

    /// A sandbox whose choices are made one by one.
    pub fn builder(policy: Policy) -> SandboxBuilder {
        SandboxBuilder::new(policy)
    }

    /// A sandbox for loaded settings: their policy, proxies and ignored refusals.
    pub fn from_settings(settings: Settings) -> Result<Self, BuildError> {
        SandboxBuilder::from_settings(settings).build()
    }

    pub(crate) fn from_parts(
        policy: Policy,
        working_directory: AbsolutePath,
        backend: Backend,
        proxy: Proxy,
        (violations, notices): (ViolationStore, Vec<String>),
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                working_directory,
                backend,
                proxy,
                violations,
                notices,
            }),
        }
    }

    /// A command to run inside. `program` is searched for in the child's `PATH` unless it holds a
    /// slash; there is no shell in between.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        Command::new(Arc::clone(&self.shared), program.into())
    }

    /// What changes the network rules while commands run.
    #[must_use]
    pub fn network_control(&self) -> NetworkControl {
        NetworkControl::new(self.shared.proxy.clone())
    }

    /// The policy that it was built with.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The plan that every command runs under, as text.
    #[must_use]
    pub fn plan(&self) -> String {
        self.shared.backend.describe()
    }

    /// What would become of an attempt, and why. Nothing is run; files are looked at where they are
    /// now, and targets that no rule decides count as refused, also where there is a decider.
    #[must_use]
    pub fn explain(&self, attempt: &Attempt) -> Explanation {
        explain::explain(self, attempt)
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    pub(crate) fn working_directory(&self) -> &AbsolutePath {
        &self.shared.working_directory
    }

    /// What is enforced, by which layer, and what was refused so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut notices = self.shared.notices.clone();
        notices.extend(self.shared.backend.notices());
        Report::new(
            self.shared.backend.layers(),
            notices,
            &self.shared.violations,
        )
    }

    /// What was refused, as it happens and in retrospect.
    #[must_use]
    pub fn violations(&self) -> &ViolationStore {
        &self.shared.violations
    }
}
