//! A command before it runs.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::Path,
    sync::Arc,
};

use sandbox_policy::{AbsolutePath, DomainPattern, DomainPatternError, DomainRule, Origin};
use tokio::io::AsyncReadExt;

use crate::{
    child::{Child, ExitStatus},
    error::SpawnError,
    host,
    platform::Launch,
    sandbox::Shared,
    stdio::{self, Stdio},
    violation::Reporter,
};

/// A command to run in a sandbox, built like `tokio::process::Command`.
///
/// Unless changed it inherits the environment (plus the variables that lead to the proxies), the
/// working directory and the standard streams. No other descriptor is inherited.
#[derive(Debug)]
#[must_use]
pub struct Command {
    shared: Arc<Shared>,
    program: OsString,
    name: Option<OsString>,
    arguments: Vec<OsString>,
    inherits_environment: bool,
    variables: BTreeMap<OsString, Option<OsString>>,
    working_directory: AbsolutePath,
    allowed: Vec<DomainRule>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    key: Option<String>,
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Command {
    pub(crate) fn new(shared: Arc<Shared>, program: OsString) -> Self {
        let working_directory = shared.working_directory.clone();
        Self {
            shared,
            program,
            name: None,
            arguments: Vec::new(),
            inherits_environment: true,
            variables: BTreeMap::new(),
            working_directory,
            allowed: Vec::new(),
            stdin: Stdio::inherit(),
            stdout: Stdio::inherit(),
            stderr: Stdio::inherit(),
            key: None,
        }
    }

    /// Adds a word.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds words.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The word that the program gets as its own name, if not the one that it was found by.
    pub fn arg0(mut self, name: impl Into<OsString>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), Some(value.into()));
        self
    }

    /// Sets variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.variables
            .extend(variables.map(|(name, value)| (name.into(), Some(value.into()))));
        self
    }

    /// Takes a variable out.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), None);
        self
    }

    /// Inherits no variables and forgets those set so far.
    pub fn env_clear(mut self) -> Self {
        self.inherits_environment = false;
        self.variables.clear();
        self
    }

    /// Where it starts. The directory must be visible inside.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Result<Self, SpawnError> {
        self.working_directory = AbsolutePath::resolve(&self.working_directory, directory.as_ref())
            .map_err(|source| SpawnError::WorkingDirectory { source })?;
        Ok(self)
    }

    /// Lets this command alone reach a host (`example.com`, `*.example.com`, `example.com:443`) that no
    /// rule of the sandbox decides: neither a deny rule nor a strict allowlist. Where the name leads is
    /// judged by the sandbox's rules.
    pub fn allow_domain(mut self, pattern: &str) -> Result<Self, DomainPatternError> {
        self.allowed.push(DomainRule {
            pattern: DomainPattern::parse_allow(pattern)?,
            origin: Origin::Program,
            note: None,
        });
        Ok(self)
    }

    /// Its standard input.
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.stdin = stdin;
        self
    }

    /// Its standard output.
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = stdout;
        self
    }

    /// Its standard error.
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = stderr;
        self
    }

    /// By what its violations are found in the [`ViolationStore`](crate::ViolationStore), and what
    /// `ignoreViolations` looks at; its words with spaces between by default.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Starts it. When this returns the program itself is running: a missing or unusable one is an
    /// error here. Dropping the [`Child`] kills everything that the command has started.
    ///
    /// Must be called in a tokio runtime with I/O and time enabled.
    pub fn spawn(self) -> Result<Child, SpawnError> {
        let environment = self.environment();
        let reporter = Reporter {
            store: self.shared.violations.clone(),
            command: self.words().into(),
        };
        let Self {
            shared,
            program,
            name,
            arguments,
            working_directory,
            allowed,
            ..
        } = self;
        let environment = shared.backend.environment(environment, &shared.policy);
        let mut argv = vec![name.unwrap_or_else(|| program.clone())];
        argv.extend(arguments);
        let (stdin, stdin_inside) = stdio::input(self.stdin)?;
        let (stdout, stdout_inside) = stdio::output(self.stdout)?;
        let (stderr, stderr_inside) = stdio::output(self.stderr)?;
        let streams = [stdin_inside, stdout_inside, stderr_inside];
        let launch = Launch {
            program,
            argv,
            environment,
            working_directory,
            streams,
        };
        let proxy = if allowed.is_empty() {
            shared.proxy.clone()
        } else {
            shared.proxy.with_besides(allowed)
        };
        Child::launch(&shared, &proxy, launch, &reporter, (stdin, stdout, stderr))
    }

    /// Runs it to its end.
    pub async fn status(self) -> Result<ExitStatus, SpawnError> {
        let mut child = self.spawn()?;
        child
            .wait()
            .await
            .map_err(|source| SpawnError::Wait { source })
    }

    /// Runs it to its end with standard output and error collected and no standard input.
    pub async fn output(self) -> Result<Output, SpawnError> {
        let command = self
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let collect = async |pipe: Option<stdio::ChildOutput>| -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut bytes).await?;
            }
            Ok(bytes)
        };
        let collected = tokio::try_join!(collect(stdout), collect(stderr), child.wait());
        let (stdout, stderr, status) = collected.map_err(|source| SpawnError::Wait { source })?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// The key, or what stands for it.
    fn words(&self) -> String {
        self.key.clone().unwrap_or_else(|| {
            let words = [&self.program].into_iter().chain(&self.arguments);
            let words: Vec<_> = words.map(|word| word.display().to_string()).collect();
            words.join(" ")
        })
    }

    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut environment = BTreeMap::new();
        if self.inherits_environment {
            environment.extend(host::environment());
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => drop(environment.insert(name.clone(), value.clone())),
                None => drop(environment.remove::<OsStr>(name)),
            }
        }
        environment
    }
}
