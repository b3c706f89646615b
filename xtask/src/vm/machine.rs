//! One run of one job in one virtual machine.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{kernel::Kernel, payload::Payload};
use crate::shell::{command, readable};

/// Who runs the job in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuestUser {
    /// The superuser.
    Root,
    /// An ordinary user.
    Tester,
}

impl GuestUser {
    /// The name in the guest.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Tester => "tester",
        }
    }
}

/// How the guest's processor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accel {
    /// By the host's processor.
    Kvm,
    /// By emulation: works everywhere, 20 to 35 times slower.
    Tcg,
}

/// A machine that is ready to be switched on.
#[derive(Debug)]
pub(crate) struct Machine<'lab> {
    /// What it boots.
    pub(crate) kernel: &'lab Kernel,
    /// The disk image with its root; writes to it are thrown away.
    pub(crate) root: &'lab Path,
    /// The disk with the job.
    pub(crate) payload: &'lab Payload,
    /// Who runs the job.
    pub(crate) user: GuestUser,
    /// How the processor works.
    pub(crate) accel: Accel,
    /// When to give up.
    pub(crate) timeout: Duration,
}

impl Machine<'_> {
    /// Boots, runs the job, hands its output to `line` while it comes, and returns the job's exit status.
    /// A machine that gives no verdict is an error with the end of its console.
    pub(crate) fn run(&self, line: &mut dyn FnMut(&str)) -> Result<i32> {
        let dir = tempfile::tempdir()?;
        let paths = Serial::in_dir(dir.path());
        let log = dir.path().join("qemu.log");
        let initramfs = dir.path().join("initramfs");
        fs::write(&initramfs, self.kernel.initramfs()?)?;
        let started = Instant::now();
        let mut qemu = Qemu(
            self.qemu(&paths, &initramfs)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(&log)?)
                .spawn()
                .context("cannot start QEMU")?,
        );
        let mut output = Follower::default();
        let timed_out = loop {
            output.read(&paths.job, line)?;
            if qemu.0.try_wait()?.is_some() {
                break false;
            }
            if started.elapsed() > self.timeout {
                break true;
            }
            thread::sleep(Duration::from_millis(100));
        };
        drop(qemu);
        output.read(&paths.job, line)?;
        output.finish(line);
        if let Some(status) = verdict(&fs::read(&paths.verdict).unwrap_or_else(|_| Vec::new())) {
            return Ok(status);
        }
        let why = if timed_out {
            format!("within {} s", self.timeout.as_secs())
        } else {
            "before it went off".to_owned()
        };
        bail!(
            "kernel {} gave no verdict {why}\n{}{}",
            self.kernel.name,
            tail(&log),
            tail(&paths.console)
        )
    }

    fn qemu(&self, serial: &Serial, initramfs: &Path) -> Command {
        let (accel, cpu) = match self.accel {
            Accel::Kvm => ("kvm", "host"),
            Accel::Tcg => ("tcg,thread=multi", "max"),
        };
        // A machine must not outlive us, however we end.
        let mut qemu = command("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        qemu.args([
            "-M", "pc", "-accel", accel, "-cpu", cpu, "-m", "1024", "-smp", "1",
        ]);
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        qemu.arg("-kernel")
            .arg(self.kernel.vmlinux())
            .arg("-initrd")
            .arg(initramfs);
        let user = self.user.name();
        qemu.arg("-append").arg(format!(
            "console=ttyS0 quiet loglevel=4 panic=-1 srtvm.user={user}"
        ));
        for (name, path) in [
            ("console", &serial.console),
            ("job", &serial.job),
            ("verdict", &serial.verdict),
        ] {
            qemu.arg("-chardev")
                .arg(format!("file,id={name},path={}", path.display()));
            qemu.arg("-serial").arg(format!("chardev:{name}"));
        }
        let (modules, payload) = (self.kernel.modules(), self.payload.image());
        for (image, mode) in [
            (self.root, "snapshot=on"),
            (&modules, "readonly=on"),
            (&payload, "readonly=on"),
        ] {
            qemu.arg("-drive").arg(format!(
                "file={},if=virtio,format=raw,{mode}",
                image.display()
            ));
        }
        qemu.args(["-device", "virtio-rng-pci"]);
        qemu
    }
}

/// The files that the guest's serial lines end in.
struct Serial {
    console: PathBuf,
    job: PathBuf,
    verdict: PathBuf,
}

impl Serial {
    fn in_dir(dir: &Path) -> Self {
        Self {
            console: dir.join("console"),
            job: dir.join("job"),
            verdict: dir.join("verdict"),
        }
    }
}

/// The running emulator; it ends with us.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is the normal case.
        if self.0.kill().is_ok() {
            self.0.wait().ok();
        }
    }
}

/// Reads a growing file line by line.
#[derive(Default)]
struct Follower {
    position: u64,
    rest: Vec<u8>,
}

impl Follower {
    fn read(&mut self, path: &Path, line: &mut dyn FnMut(&str)) -> Result<()> {
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            // QEMU has not got so far yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        file.seek(SeekFrom::Start(self.position))?;
        let mut fresh = Vec::new();
        file.read_to_end(&mut fresh)?;
        self.position += u64::try_from(fresh.len())?;
        self.rest.extend(fresh);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = self.rest.drain(..=end).collect();
            line(readable(&whole).trim_end());
        }
        Ok(())
    }

    fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        if !self.rest.is_empty() {
            line(&readable(&self.rest));
        }
    }
}

/// The exit status in what the guest wrote on its third serial line.
fn verdict(bytes: &[u8]) -> Option<i32> {
    str::from_utf8(bytes)
        .ok()?
        .lines()
        .find_map(|line| line.trim().strip_prefix("verdict="))?
        .parse()
        .ok()
}

/// The last lines of a file, for a failure's message.
fn tail(path: &Path) -> String {
    let text = fs::read(path)
        .map(|bytes| readable(&bytes))
        .unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(25);
    lines
        .get(start..)
        .unwrap_or(&[])
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_whole_line() {
        assert_eq!(verdict(b"verdict=7\n"), Some(7));
        assert_eq!(verdict(b"noise\r\nverdict=0\r\n"), Some(0));
        assert_eq!(verdict(b"verdict="), None);
        assert_eq!(verdict(b""), None);
    }

    #[test]
    fn lines_arrive_whole_while_the_file_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job");
        let (mut follower, mut lines) = (Follower::default(), Vec::new());
        follower
            .read(&path, &mut |line| lines.push(line.to_owned()))
            .unwrap();
        fs::write(&path, "one\ntw").unwrap();
        follower
            .read(&path, &mut |line| lines.push(line.to_owned()))
            .unwrap();
        fs::write(&path, "one\ntwo\nend").unwrap();
        follower
            .read(&path, &mut |line| lines.push(line.to_owned()))
            .unwrap();
        follower.finish(&mut |line| lines.push(line.to_owned()));
        assert_eq!(lines, ["one", "two", "end"]);
    }
}
