//! Where a path leads inside a sandbox: as the kernel walks it, with the host's symlinks where the
//! sandbox shows the host's tree, and through no symlink that is hidden.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sandbox_policy::{AbsolutePath, Denial, FilesystemPolicy, LINK_LIMIT, Step, Steps};

use crate::platform::Shown;

/// What a walk meets.
pub(super) struct Ground<'s> {
    /// The policy as it is enforced.
    pub(super) policy: &'s FilesystemPolicy,
    /// What the sandbox shows at a path.
    pub(super) show: &'s dyn Fn(&AbsolutePath) -> Shown,
    /// Whether a symlink that is closed for writing leads nowhere.
    pub(super) closes_links: bool,
}

/// The end of a walk.
#[derive(Debug)]
pub(super) struct Way {
    /// The place of the last name itself, a symlink perhaps.
    pub(super) own: AbsolutePath,
    /// Where it leads.
    pub(super) landing: AbsolutePath,
    /// Whether something is there.
    pub(super) presence: Presence,
}

/// Whether there is something at the end of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is.
    There,
    /// This, and what would be below, does not exist.
    Missing(AbsolutePath),
    /// This can't be looked at, for this reason; the rest was taken as it is written.
    Unknown(AbsolutePath, String),
    /// The sandbox has a tree of its own there, which does not exist yet.
    NotYet,
}

/// Why a walk leads nowhere.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A symlink that is closed for this leads nowhere, and there is no way back out of a closed
    /// directory.
    Hidden(AbsolutePath, Box<Denial>),
    /// More symlinks than the kernel follows.
    Loop,
}

/// Walks a path from a directory.
pub(super) fn walk(
    ground: &Ground<'_>,
    start: &AbsolutePath,
    path: &Path,
) -> Result<Way, Obstacle> {
    let mut steps = Steps::along(path);
    steps.follow(start.as_path());
    let mut at = AbsolutePath::root();
    let mut own = None;
    let mut presence = Presence::There;
    let mut links = 0;
    while let Some(step) = steps.next() {
        if step == Step::Up
            && (ground.show)(&at) == Shown::Mask
            && let Some(denial) = ground.policy.judge_read(&at).into_denial()
        {
            return Err(Obstacle::Hidden(at, Box::new(denial)));
        }
        let Some(next) = step.entry(&mut at) else {
            continue;
        };
        if own.is_none() && steps.is_empty() {
            own = Some(next.clone());
        }
        if presence == Presence::There
            && let Some(target) = own_link(ground, start, &next)
        {
            links += 1;
            if links > LINK_LIMIT {
                return Err(Obstacle::Loop);
            }
            steps.follow(target.as_path());
            continue;
        }
        let target = match presence {
            Presence::There => entry(ground, &next, &mut presence),
            Presence::Missing(_) | Presence::Unknown(..) | Presence::NotYet => None,
        };
        let Some(target) = target else {
            at = next;
            continue;
        };
        links += 1;
        if links > LINK_LIMIT {
            return Err(Obstacle::Loop);
        }
        let closed = ground.policy.judge_read(&next).into_denial();
        let through = || ground.policy.judge_through(&next).into_denial();
        if let Some(denial) = closed.or_else(|| ground.closes_links.then(through)?) {
            return Err(Obstacle::Hidden(next, Box::new(denial)));
        }
        steps.follow(&target);
    }
    Ok(Way {
        own: own.unwrap_or_else(|| at.clone()),
        landing: at,
        presence,
    })
}

/// A link of the sandbox's own trees, which no rule closes. In `/proc` a command's own root and working
/// directory (proc_pid_root(5), proc_pid_cwd(5)) are those that it starts with; in `/dev` there is a link
/// to its descriptors.
fn own_link(
    ground: &Ground<'_>,
    start: &AbsolutePath,
    path: &AbsolutePath,
) -> Option<AbsolutePath> {
    let below_dev = path.as_path().strip_prefix("/dev").ok();
    if below_dev.is_some_and(|name| name == Path::new("fd")) {
        let is_own = (ground.show)(path) == Shown::Device;
        return is_own.then(|| AbsolutePath::new("/proc/self/fd").ok())?;
    }
    let below = path.as_path().strip_prefix("/proc").ok()?;
    let mut names = below.iter();
    let process = names.next()?;
    if process != "self" && process != "thread-self" {
        return None;
    }
    let mut name = names.next()?;
    if name == "task" {
        // Of whichever thread: they share both.
        names.next()?;
        name = names.next()?;
    }
    if names.next().is_some() || (ground.show)(path) != Shown::Proc {
        return None;
    }
    match name.as_encoded_bytes() {
        b"root" => Some(AbsolutePath::root()),
        b"cwd" => Some(start.clone()),
        _ => None,
    }
}

/// Looks at an entry: the target of a symlink, or none; takes note of what is not there.
fn entry(ground: &Ground<'_>, path: &AbsolutePath, presence: &mut Presence) -> Option<PathBuf> {
    match (ground.show)(path) {
        Shown::Link(to) => return Some(to.as_path().to_path_buf()),
        Shown::Private => {
            *presence = Presence::NotYet;
            return None;
        }
        Shown::Device | Shown::NoDevice | Shown::Proc | Shown::Replaced => return None,
        // What lies in a closed region is judged by its name, wherever the host's links lead.
        Shown::Nothing | Shown::Mask | Shown::ReadOnly | Shown::Writable => {}
    }
    let looked = fs::symlink_metadata(path.as_path()).and_then(|found| {
        found
            .is_symlink()
            .then(|| fs::read_link(path.as_path()))
            .transpose()
    });
    match looked {
        Ok(target) => target,
        Err(error) => {
            let is_absence = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            );
            *presence = if is_absence {
                Presence::Missing(path.clone())
            } else {
                Presence::Unknown(path.clone(), error.to_string())
            };
            None
        }
    }
}
