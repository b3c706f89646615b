//! The outer stage: pid 1 of the new namespaces, up to the init image.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::atomic::Ordering,
};

use rustix::{
    fs::{Mode, OFlags},
    io::FdFlags,
    process::Signal,
    thread::{CapabilitySet, CapabilitySets},
};

use super::{Context, IdMaps, OUT_OF_THE_WAY, StageFailure, Step, mounts};
use crate::{
    plan::NestedNamespaces,
    sys::{self, Errno},
};

/// All namespaces but time's, which has its own flag, and the network's, which a thread makes while
/// this one mounts: it takes as long as all the rest.
pub(crate) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Descriptors of the init image, see its source.
const INIT_STATUS: libc::c_int = 3;
const INIT_LIFELINE: libc::c_int = 4;
const INIT_FIRST_UNUSED: libc::c_uint = 5;
/// Exit status of a stage that failed; the reason is in the context.
pub(super) const FAILED: libc::c_int = 125;

/// Entry of the outer stage.
pub(crate) fn outer(context: &mut Context<'_>) -> libc::c_int {
    if let Err(failure) = set_up(context) {
        context.failure = Some(failure);
        context.inner.progress.gate.abandon();
    }
    FAILED
}

fn set_up(context: &mut Context<'_>) -> Result<(), StageFailure> {
    // First, so that no copy of a pipe's other end keeps this process, or another sandbox's, waiting
    // for a host program that is gone.
    close_all_but(&context.kept).map_err(StageFailure::at(Step::Descriptors))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(StageFailure::at(Step::Privileges))?;
    // The signal is not sent for a host program that died before that call.
    is_host_alive(context.init.lifeline).map_err(StageFailure::at(Step::Descriptors))?;
    context
        .network
        .start(context.network_stack, &context.network_call)
        .map_err(StageFailure::at(Step::Network))?;
    let started = start_command(context);
    // In any case: the thread must not outlive the memory that it runs in.
    let network = context
        .network
        .finish()
        .map_err(StageFailure::at(Step::Network));
    let command = started?;
    network?;
    Err(become_init(context, command))
}

/// Everything that happens beside the network thread.
fn start_command(context: &mut Context<'_>) -> Result<libc::pid_t, StageFailure> {
    write_id_maps(&context.id_maps).map_err(StageFailure::at(Step::IdMap))?;
    if context.prepared.plan.user_namespaces == NestedNamespaces::Refused {
        // The limit counts for the writer's user namespace, so the proc outside serves.
        write_file(c"/proc/sys/user/max_user_namespaces", b"0")
            .map_err(StageFailure::at(Step::NamespaceLimit))?;
    }
    mounts::set_up(context)?;
    empty_bounding_set().map_err(StageFailure::at(Step::Privileges))?;
    context
        .network
        .enter()
        .map_err(StageFailure::at(Step::Network))?;
    start_inner(context)
}

fn close_all_but(kept: &[RawFd]) -> Result<(), Errno> {
    let mut first = 0;
    for descriptor in kept {
        if first < *descriptor {
            sys::fd::close_between(first, descriptor - 1)?;
        }
        first = descriptor + 1;
    }
    sys::fd::close_between(first, RawFd::MAX)
}

/// The lifeline's other end is the host program's alone.
fn is_host_alive(lifeline: RawFd) -> Result<(), Errno> {
    sys::fd::poll_hang_up(lifeline, 0)
        .and_then(|hung_up| if hung_up { Err(Errno::PIPE) } else { Ok(()) })
}

fn write_id_maps(maps: &IdMaps<'_>) -> Result<(), Errno> {
    match maps {
        IdMaps::Own { uid_map, gid_map } => {
            // user_namespaces(7): without privileges the gid map needs setgroups(2) forbidden.
            write_file(c"/proc/self/setgroups", b"deny")?;
            write_file(c"/proc/self/uid_map", uid_map.as_bytes())?;
            write_file(c"/proc/self/gid_map", gid_map.as_bytes())
        }
        IdMaps::ByHost(maps) => maps.wait(),
    }
}

fn write_file(path: &CStr, content: &[u8]) -> Result<(), Errno> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, content).map(drop)
}

/// Starts the inner stage and returns its pid.
fn start_inner(context: &Context<'_>) -> Result<libc::pid_t, StageFailure> {
    let Context {
        inner,
        inner_call,
        inner_stack,
        ..
    } = context;
    let progress = &inner.progress;
    let start = || {
        // Pid 1 has to be told of the command's end.
        let ignores_children = sys::signal::default_sigchld()?;
        progress
            .ignores_children
            .store(ignores_children, Ordering::SeqCst);
        progress.gate.close()?;
        sys::clone::start(inner_stack, libc::SIGCHLD, inner_call, &progress.running)
    };
    start().map_err(StageFailure::at(Step::InnerStage))
}

/// Becomes the init image: nothing of the host's memory or descriptors stays. Returns on failure.
fn become_init(context: &mut Context<'_>, command: libc::pid_t) -> StageFailure {
    let errno = match prepare_init(context, command) {
        Ok(image) => sys::exec::execve_fd(image, &context.init.argv, &context.init.envp),
        Err(errno) => errno,
    };
    StageFailure {
        step: Step::InitImage,
        errno,
        operation: None,
    }
}

/// Places the init image's descriptors and drops every capability; returns the image's number.
fn prepare_init(context: &mut Context<'_>, command: libc::pid_t) -> Result<libc::c_int, Errno> {
    context.init.argv.write_decimal(1, command.unsigned_abs());
    let aside = |descriptor| sys::fd::duplicate_above(descriptor, OUT_OF_THE_WAY);
    let image = aside(context.prepared.init_image.as_raw_fd())?;
    let status = aside(context.init.status)?;
    let lifeline = aside(context.init.lifeline)?;
    sys::fd::place(status, INIT_STATUS)?;
    sys::fd::place(lifeline, INIT_LIFELINE)?;
    sys::fd::close_on_exec_from(INIT_FIRST_UNUSED)?;
    for stream in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        close_on_exec(stream);
    }
    rustix::thread::set_no_new_privs(true)?;
    hide_from_command()?;
    Ok(image)
}

/// A standard stream that is closed already needs nothing.
fn close_on_exec(stream: BorrowedFd<'_>) {
    rustix::io::fcntl_setfd(stream, FdFlags::CLOEXEC).unwrap_or(());
}

/// Takes every capability out of the bounding set, also those that this crate has no name for.
fn empty_bounding_set() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        match rustix::thread::remove_capability_from_bounding_set(capability(number)) {
            Ok(()) => {}
            // One past the kernel's last capability.
            Err(Errno::INVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn capability(number: u32) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1 << number)
}

/// The command waits until this process has given the host's memory up, which it has already when the kernel marks the
/// image as one that is not dumpable. ptrace(2) and what goes by its rules ask for every capability that the target is
/// permitted, so they stay permitted until the init image is executed, when they end, as the bounding set is empty. None
/// is effective any more: the image must count as unreadable, so that it is not dumpable from its first instruction on.
fn hide_from_command() -> Result<(), Errno> {
    let mut sets = rustix::thread::capabilities(None)?;
    sets.effective = CapabilitySet::empty();
    sets.inheritable = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, sets)
}

/// No capability in any set.
pub(super) fn drop_capabilities() -> Result<(), Errno> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, sets)
}
