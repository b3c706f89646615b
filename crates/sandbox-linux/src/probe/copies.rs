//! Which directories a permissive run shows as copies.

use std::{
    fs, io,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use sandbox_policy::{AbsolutePath, PathPattern, PathRule, Policy};

use super::{ProbeError, maps_all_ids};

/// Trees that are the kernel's, the sandbox's own, or full of other programs' sockets and locks.
const LEFT_OUT: [&str; 5] = ["/proc", "/dev", "/sys", "/run", "/boot"];

/// More would make the start slow, and come from a directory that is full of mounts.
pub(super) const MOST: usize = 128;

/// The directories, outermost first, whose contents a permissive run may change in a copy: what holds the
/// working directory, the home and the write roots as far as it belongs to the user, and for root
/// everything. None of them has a mount in it, which overlayfs could not show.
pub fn copied_places(
    policy: &Policy,
    working_directory: &AbsolutePath,
    home: Option<&AbsolutePath>,
) -> Result<Vec<AbsolutePath>, ProbeError> {
    let is_all = maps_all_ids()?;
    let host = Host {
        mounts: mount_points().map_err(|source| ProbeError::Start {
            path: MOUNTS.into(),
            source,
        })?,
        scratch: (policy.filesystem.scratch.iter())
            .filter_map(|rule| literal(rule))
            .map(|path| path.as_path().to_path_buf())
            .collect(),
        owner: (!is_all).then(|| {
            let user = rustix::process::geteuid().as_raw();
            (user, rustix::process::getegid().as_raw())
        }),
    };
    let roots = policy.filesystem.allow_write.iter();
    let roots = roots.filter_map(|allow| literal(&allow.rule));
    let named = [working_directory].into_iter().chain(home).chain(roots);
    let named = named.filter_map(|path| host.outermost(&existing(path)?));
    let whole = is_all.then(|| PathBuf::from("/"));
    let mut found = Vec::new();
    for place in whole.into_iter().chain(named) {
        host.expand(&place, &mut found);
    }
    found.sort_by_key(|path| (path.components().count(), path.clone()));
    found.dedup();
    let mut places: Vec<PathBuf> = Vec::new();
    for place in found {
        let is_in = |outer: &PathBuf| place.starts_with(outer) && host.can_copy(outer, &place);
        if places.iter().any(is_in) {
            continue;
        }
        // A place without a copy would be refused although the run promises to refuse nothing.
        if places.len() == MOST {
            return Err(ProbeError::ManyCopies { path: place });
        }
        places.push(place);
    }
    let places = places.into_iter();
    Ok(places
        .filter_map(|place| AbsolutePath::new(place).ok())
        .collect())
}

struct Host {
    mounts: Vec<PathBuf>,
    /// Private directories of the sandbox's.
    scratch: Vec<PathBuf>,
    /// The only user and group whose directories can be copied; none where all can.
    owner: Option<(u32, u32)>,
}

impl Host {
    fn is_owned(&self, path: &Path) -> bool {
        let Some(owner) = self.owner else {
            return true;
        };
        fs::metadata(path).is_ok_and(|found| (found.uid(), found.gid()) == owner)
    }

    /// The outermost directory on the way to a path from which on everything is the user's.
    fn outermost(&self, path: &Path) -> Option<PathBuf> {
        let mut place = path.to_path_buf();
        while let Some(parent) = place.parent() {
            if !self.is_owned(parent) || parent == Path::new("/") {
                break;
            }
            place = parent.to_path_buf();
        }
        (!is_left_out(&place)).then_some(place)
    }

    /// Whether overlayfs can copy the directories between an outer place and one in it.
    fn can_copy(&self, outer: &Path, place: &Path) -> bool {
        let between = place.ancestors().take_while(|path| *path != outer);
        between.into_iter().all(|path| self.is_owned(path))
    }

    /// The place, or the directories in it that have no mount inside.
    fn expand(&self, place: &Path, found: &mut Vec<PathBuf>) {
        let holds_mounts = |path: &Path| {
            let mut mounts = self.mounts.iter();
            mounts.any(|mount| mount != path && mount.starts_with(path))
        };
        if !holds_mounts(place) {
            found.push(place.to_path_buf());
            return;
        }
        let Ok(entries) = fs::read_dir(place) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && !is_left_out(&path) && !self.scratch.contains(&path) {
                self.expand(&path, found);
            }
        }
    }
}

fn literal(rule: &PathRule) -> Option<&AbsolutePath> {
    match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    }
}

fn is_left_out(path: &Path) -> bool {
    LEFT_OUT.iter().any(|tree| path.starts_with(tree)) || path == Path::new("/lost+found")
}

/// The directory that a path leads to, or that it would be made in.
fn existing(path: &AbsolutePath) -> Option<PathBuf> {
    let mut above = path.as_path().ancestors();
    let found = above.find_map(|path| fs::canonicalize(path).ok())?;
    if fs::metadata(&found).is_ok_and(|status| status.is_dir()) {
        Some(found)
    } else {
        found.parent().map(Path::to_path_buf)
    }
}

/// proc_pid_mountinfo(5): the fifth field, with some bytes as three octal digits.
pub(super) const MOUNTS: &str = "/proc/self/mountinfo";

fn mount_points() -> io::Result<Vec<PathBuf>> {
    Ok(points(&fs::read(MOUNTS)?))
}

fn points(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|byte| *byte == b'\n');
    let fields = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields
        .map(|field| std::ffi::OsString::from_vec(unescaped(field)).into())
        .collect()
}

pub(super) fn unescaped(mut field: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(field.len());
    while let [first, rest @ ..] = field {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) =
            (first, rest)
        {
            text.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            field = rest;
        } else {
            text.push(*first);
            field = rest;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{points, unescaped};

    /// Lines as WSL, virtiofs and autofs machines have them: no optional field, several of them, a source
    /// with a backslash, options with spaces, a file system in user space whose source is anything.
    #[test]
    fn odd_lines_name_their_mount_points() {
        let text: &[&[u8]] = &[
            br"78 69 0:50 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000;symlinkroot=/mnt/,mmap,access=client,msize=65536,trans=fd,rfd=5,wfd=5",
            br"79 69 0:51 / /usr/lib/wsl/drivers ro,nosuid,nodev,noatime - 9p none ro,dirsync,aname=drivers;fmask=222;dmask=222,trans=fd,rfd=7,wfd=7",
            br"36 29 0:32 / /proc/sys/fs/binfmt_misc rw,relatime shared:14 master:2 propagate_from:1 - autofs systemd-1 rw,fd=29,pgrp=1,timeout=0,minproto=5,maxproto=5,direct",
            br"90 29 0:60 / /home/me/My\040Drive rw,nosuid,nodev shared:50 - fuse.rclone remote:\040x rw,user_id=1000,group_id=1000",
            br"120 100 0:44 /sub\134dir /merged\011tab rw - overlay overlay rw,lowerdir=/a:/b,upperdir=/u,workdir=/w",
            b"121 100 0:45 / /caf\xe9 rw - virtiofs tag rw",
            b"",
        ];
        let found = points(&text.join(&b'\n'));
        let expected = [
            "/mnt/c",
            "/usr/lib/wsl/drivers",
            "/proc/sys/fs/binfmt_misc",
            "/home/me/My Drive",
            "/merged\ttab",
        ];
        assert_eq!(found[..5], expected.map(PathBuf::from));
        assert_eq!(found[5].as_os_str().as_encoded_bytes(), b"/caf\xe9");
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped(b"/a\\040b\\134c\\011"), b"/a b\\c\t");
        assert_eq!(unescaped(b"/a\\04"), b"/a\\04");
    }
}
