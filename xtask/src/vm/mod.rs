//! `cargo xtask test-linux`: the black-box suites on real kernels in virtual machines, as root and as ordinary user.
//!
//! Kernels and the guest's root are Debian packages, unpacked into `target/vmlab` and never installed. One machine runs
//! all suites of one (kernel, user): booting costs seconds. A machine without a verdict is a failure, never a skip.

mod accel;
mod archive;
mod cpio;
mod kernel;
mod machine;
mod mirror;
mod payload;
mod rootfs;
mod vmlinux;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;

use self::{
    kernel::{Kernel, SERIES},
    machine::{Accel, GuestUser, Machine},
    mirror::Mirror,
    payload::Payload,
};
use crate::{
    apt,
    shell::say,
    tally::{Skips, Tally},
    workspace,
};

/// What to run, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kernel series, such as 6.12; may be given more than once. 6.12 when none is given.
    #[arg(long = "kernel", value_name = "SERIES")]
    kernels: Vec<String>,
    /// Every kernel series that can be had.
    #[arg(long, conflicts_with = "kernels")]
    all: bool,
    /// Who runs the suites in the guest.
    #[arg(long, value_enum, default_value_t = Users::Both)]
    user: Users,
    /// How the guest's processor works; `auto` tries KVM by booting a machine with it.
    #[arg(long, value_enum, default_value_t = WantedAccel::Auto)]
    accel: WantedAccel,
    /// Run this shell line in the guest instead of the suites.
    #[arg(long, value_name = "LINE")]
    command: Option<String>,
    /// The Debian mirror, when the machine's own apt uses none.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Seconds after which a machine is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 2400)]
    timeout: u64,
    /// Arguments for the test executables: filters and libtest's options.
    #[arg(last = true)]
    filter: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Users {
    Root,
    Tester,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WantedAccel {
    Auto,
    Kvm,
    Tcg,
}

/// The cases of the fast lane: what another kernel could answer differently, some five minutes in an emulated machine.
/// The others are about what is ours or a server's; `cargo xtask test-linux` runs them all.
const FAST: [&str; 15] = [
    // Isolation.
    "kernel::",
    "namespaces::",
    "processes::",
    "shared::",
    "tracing::",
    "unix_sockets::",
    // Files.
    "devices::",
    "handles::",
    "mounts::",
    "writes::",
    "denies::a_denied_file_is_not_read",
    // Life cycle.
    "children::",
    "ends::a_kill_at_any_moment",
    // Network.
    "forward::curl",
    "forward::the_first_byte",
];

impl Args {
    /// What `cargo xtask test` runs: the fast lane.
    pub(crate) fn fast_lane(series: &str) -> Self {
        Self {
            kernels: vec![series.to_owned()],
            all: false,
            user: Users::Both,
            accel: WantedAccel::Auto,
            command: None,
            mirror: None,
            timeout: 2400,
            filter: FAST.map(str::to_owned).to_vec(),
        }
    }
}

/// Runs the suites; the last line of the output is the sum of their results.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut tally = Tally::default();
    let result = test(args, &mut tally);
    if let Err(error) = &result {
        say(format!("error: {error:#}"));
    }
    for name in &tally.failures {
        say(format!("failed: {name}"));
    }
    say(&tally);
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the suites in the machines and adds their results to `tally`; a failed test is an error.
pub(crate) fn test(args: &Args, tally: &mut Tally) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the machines are made for x86_64 only");
    }
    let before = tally.failed;
    apt::ensure(PACKAGES)?;
    let cache = workspace::target_directory()?.join("vmlab");
    fs::create_dir_all(&cache)?;
    let mut mirror = Mirror::of_this_machine(args.mirror.as_deref())?;
    let root = rootfs::image(&cache, &mut mirror)?;
    let series: Vec<&str> = match (args.all, args.kernels.as_slice()) {
        (true, _) => SERIES.iter().map(|(name, _)| *name).collect(),
        (false, []) => vec![DEFAULT_SERIES],
        (false, named) => named.iter().map(String::as_str).collect(),
    };
    let kernels: Result<Vec<Kernel>> = series
        .iter()
        .map(|series| Kernel::of_series(&cache, series, &mirror))
        .collect();
    let kernels = kernels?;
    let first = kernels.first().context("no kernel")?;
    let accel = match args.accel {
        WantedAccel::Kvm => Accel::Kvm,
        WantedAccel::Tcg => Accel::Tcg,
        WantedAccel::Auto => accel::that_works(&cache, first, &root)?,
    };
    let lab = Lab {
        root,
        payload: Payload::new(args.command.as_deref(), &args.filter, accel)?,
        accel,
        timeout: Duration::from_secs(args.timeout),
    };
    for kernel in &kernels {
        lab.test_kernel(kernel, args, tally)?;
    }
    if tally.failed > before {
        bail!("{} tests failed in virtual machines", tally.failed - before);
    }
    Ok(())
}

/// What all machines of one run share.
struct Lab {
    root: PathBuf,
    payload: Payload,
    accel: Accel,
    timeout: Duration,
}

impl Lab {
    /// One machine for each user, at the same time: an emulated machine keeps one processor busy.
    fn test_kernel(&self, kernel: &Kernel, args: &Args, tally: &mut Tally) -> Result<()> {
        let users: &[GuestUser] = match args.user {
            Users::Root => &[GuestUser::Root],
            Users::Tester => &[GuestUser::Tester],
            Users::Both => &[GuestUser::Root, GuestUser::Tester],
        };
        let results: Vec<Result<Tally>> = thread::scope(|scope| {
            let machines: Vec<_> = users
                .iter()
                .map(|user| scope.spawn(|| self.test_as(kernel, *user)))
                .collect();
            let finished = machines.into_iter().map(|machine| machine.join());
            finished
                .map(|result| {
                    result.unwrap_or_else(|_| Err(anyhow!("the machine's thread panicked")))
                })
                .collect()
        });
        // Both results count even when one machine has failed.
        let mut outcome = Ok(());
        for result in results {
            match result {
                Ok(found) => *tally += &found,
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn test_as(&self, kernel: &Kernel, user: GuestUser) -> Result<Tally> {
        let machine = Machine {
            kernel,
            root: &self.root,
            payload: &self.payload,
            user,
            accel: self.accel,
            timeout: self.timeout,
        };
        let label = format!("{} {}", kernel.name, user.name());
        let started = Instant::now();
        let mut tally = Tally::default();
        let status = machine.run(&mut |line| {
            tally.read(line, Skips::Count);
            say(format!("[{label}] {line}"));
        })?;
        say(format!(
            "[{label}] exit status {status}, {tally}, {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        if tally.executables != self.payload.suites {
            bail!(
                "{label}: {} suites came to their end, {} were started",
                tally.executables,
                self.payload.suites
            );
        }
        if status != 0 && tally.failed == 0 {
            bail!("{label}: the job ended with status {status}");
        }
        Ok(tally.labelled(&label))
    }
}

const DEFAULT_SERIES: &str = "6.12";

/// What the host needs. Debian's archive keys are preinstalled on Debian only.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "debian-archive-keyring",
    "e2fsprogs",
    "kmod",
    "lz4",
    "mmdebstrap",
    "qemu-system-x86",
    "squashfs-tools",
    "xz-utils",
    "zstd",
];
