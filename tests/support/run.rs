//! Starting host processes with a time limit, and finding programs.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Output;
use crate::subject::{timeout, variable};

/// The directories a bare system looks for programs in.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with an empty environment but for path, home and locale.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the suites that starts processes"
)]
pub(crate) fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", SYSTEM_PATH)
        .env("LANG", "C.UTF-8")
        .env("HOME", "/nonexistent");
    command
}

/// The search path that commands of the suites get.
#[must_use]
pub fn tool_path() -> &'static str {
    SYSTEM_PATH
}

/// Where a program is: a system directory first, then the path of whoever runs the suites.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let own = variable("PATH").unwrap_or_default();
    SYSTEM_PATH
        .split(':')
        .chain(own.split(':'))
        .filter(|directory| directory.starts_with('/'))
        .find_map(|directory| {
            let candidate = Path::new(directory).join(name);
            candidate
                .metadata()
                .is_ok_and(|found| found.is_file())
                .then_some(candidate)
        })
}

/// Runs a program on the host, without the tool: for positive controls and preparation.
pub fn host<I: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = I>) -> Output {
    let mut command = bare(program);
    command.args(arguments).stdin(Stdio::null());
    Running::start(command, None).finish(timeout(60.0))
}

/// How long a program of the host takes, with nothing to read or write.
pub fn host_time<I: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Duration {
    time(bare(program).args(arguments))
}

/// Starts and waits without polling and without pipes, which would cost more than a start.
pub(crate) fn time(command: &mut Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let elapsed = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    elapsed
}

/// Whether the suites run as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sends a signal by its name (`TERM`) to a process.
///
/// # Panics
/// When the process is gone or the name unknown.
pub fn signal(pid: u32, name: &str) {
    let shell = Path::new("/bin/sh");
    let sent = host(
        shell,
        ["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()],
    );
    assert!(sent.succeeded(), "cannot send {name} to {pid}\n{sent}");
}

/// Polls until the condition holds; false when `limit` passes first.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program of the host that serves a test, and is ended with it.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Starts the words of a launcher (which may be none), and a program with arguments behind it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start<I: AsRef<OsStr>>(
        launcher: &[String],
        program: &Path,
        arguments: impl IntoIterator<Item = I>,
    ) -> Self {
        let mut words = launcher.iter().map(Path::new).chain([program]);
        let first = words.next().expect("a program");
        let mut command = bare(first);
        command.args(words).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().expect("a program of the host"))
    }

    /// Its standard output, which can be taken once.
    ///
    /// # Panics
    /// When it was taken.
    pub fn stdout(&mut self) -> impl Read + use<> {
        self.0.stdout.take().expect("standard output")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A started command whose output is being collected.
#[derive(Debug)]
pub struct Running {
    child: Child,
    what: String,
    start: Instant,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Running {
    pub(crate) fn start(mut command: Command, stdin: Option<Vec<u8>>) -> Self {
        let what = format!("{command:?}");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        // A group of its own, so that a case that hangs can be ended with all it started.
        command.process_group(0);
        let start = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {what}: {error}"));
        if let Some(bytes) = stdin {
            let pipe = child.stdin.take();
            std::thread::spawn(move || {
                // A program that does not read its input closes the pipe: no concern of the case.
                pipe.map(|mut pipe| pipe.write_all(&bytes).ok());
            });
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Self {
            child,
            what,
            start,
            stdout,
            stderr,
        }
    }

    /// The process id of the command (of a launcher in front of it, if there is one).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The writing end of standard input, when it was asked to be kept.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Ends it with SIGKILL, which nobody can handle.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill a child of ours");
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("wait for a child of ours")
            .is_some()
    }

    /// Waits for the end, and for the end of its output.
    ///
    /// # Panics
    /// When `limit` passes first, or when something keeps a stream open after the end.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Output {
        let status = self.wait(limit);
        let elapsed = self.start.elapsed();
        let left = timeout(10.0);
        let (Ok(stdout), Ok(stderr)) = (
            self.stdout.recv_timeout(left),
            self.stderr.recv_timeout(left),
        ) else {
            self.end_group();
            panic!(
                "{} exited ({status}) but something still holds its streams",
                self.what
            )
        };
        Output {
            what: self.what.clone(),
            status,
            stdout,
            stderr,
            elapsed,
        }
    }

    /// Ends what is left of the group; a survivor that made a group of its own stays to be seen.
    fn end_group(&self) {
        let group = rustix::process::Pid::from_child(&self.child);
        // Nobody may be left in it.
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }

    #[track_caller]
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child of ours") {
                return status;
            }
            if start.elapsed() > limit {
                self.end_group();
                let partial = self
                    .stdout
                    .recv_timeout(timeout(1.0))
                    .map_or_else(|_| String::new(), |b| crate::show(&b));
                let errors = self
                    .stderr
                    .recv_timeout(timeout(1.0))
                    .map_or_else(|_| String::new(), |b| crate::show(&b));
                panic!(
                    "{} did not end within {limit:?}\nstdout: {partial}\nstderr: {errors}",
                    self.what
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    /// A case that fails half-way leaves nothing running.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.end_group();
            self.child.wait().ok();
        }
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is still worth showing.
            stream.read_to_end(&mut bytes).ok();
        }
        sender.send(bytes).ok();
    });
    receiver
}
