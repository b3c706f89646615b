//! Starting other programs and talking to the person at the terminal: the only place of this crate that does either.

use std::{
    ffi::OsStr,
    fmt::Display,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Prints one line to stdout, at once.
pub(crate) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Nobody reads us any more; the exit status still tells the result.
    }
}

/// A command that has not been started yet.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that starts programs"
)]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// `cargo` with its arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut cargo = command("cargo");
    cargo.args(args);
    cargo
}

/// What every caller does with a command.
pub(crate) trait CommandExt {
    /// Runs it with our own terminal; any exit status but 0 is an error.
    fn run(&mut self) -> Result<()>;
    /// Runs it and shows what it wrote only when it fails.
    fn run_quietly(&mut self) -> Result<()>;
    /// Runs it and hands out its stdout as text.
    fn stdout_text(&mut self) -> Result<String>;
    /// Runs it, hands each line of stdout to `line`, and says whether it succeeded.
    fn for_each_line(&mut self, line: &mut dyn FnMut(&str)) -> Result<bool>;
}

impl CommandExt for Command {
    fn run(&mut self) -> Result<()> {
        let status = self.status().with_context(|| describe(self))?;
        if !status.success() {
            bail!("{} ended with {status}", describe(self));
        }
        Ok(())
    }

    fn run_quietly(&mut self) -> Result<()> {
        let output = self
            .stdin(Stdio::null())
            .output()
            .with_context(|| describe(self))?;
        if !output.status.success() {
            bail!(
                "{} ended with {}\n{}{}",
                describe(self),
                output.status,
                readable(&output.stdout),
                readable(&output.stderr)
            );
        }
        Ok(())
    }

    fn stdout_text(&mut self) -> Result<String> {
        let output = self
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| describe(self))?;
        if !output.status.success() {
            bail!("{} ended with {}", describe(self), output.status);
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("{} wrote no UTF-8", describe(self)))
    }

    fn for_each_line(&mut self, line: &mut dyn FnMut(&str)) -> Result<bool> {
        let mut child = self
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| describe(self))?;
        let stdout = child.stdout.take().context("the stdout pipe is missing")?;
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader
            .read_until(b'\n', &mut bytes)
            .with_context(|| describe(self))?
            > 0
        {
            line(readable(&bytes).trim_end());
            bytes.clear();
        }
        Ok(child.wait().with_context(|| describe(self))?.success())
    }
}

/// Text for a person: what is not UTF-8 is escaped, nothing is dropped.
pub(crate) fn readable(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Whether `program` can be found and started.
pub(crate) fn is_installed(program: &str) -> bool {
    command("sh")
        .args(["-c", "command -v -- \"$1\" >/dev/null", "sh", program])
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether we are root.
pub(crate) fn is_root() -> Result<bool> {
    Ok(command("id").arg("-u").stdout_text()?.trim() == "0")
}

/// Whether something is at `path`; an error other than "not found" is an error here too.
pub(crate) fn is_present(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot look at `{}`", path.display())),
    }
}

fn describe(command: &Command) -> String {
    let mut words = vec![readable(command.get_program().as_encoded_bytes())];
    words.extend(
        command
            .get_args()
            .map(|arg| readable(arg.as_encoded_bytes())),
    );
    format!("`{}`", words.join(" "))
}
