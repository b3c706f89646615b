//! What the value of a setting means as a path, or as a command with paths: to know of a place too many only closes more.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use sandbox_policy::AbsolutePath;

use super::repository::read_file;

/// passwd(5).
const USERS: &str = "/etc/passwd";
/// What git was built for, which `%(prefix)` stands for: packages, and what is built by hand.
const PREFIXES: [&str; 3] = ["/usr", "/usr/local", "/home/linuxbrew/.linuxbrew"];
/// Before a path that need not be there (git-config(1), since git 2.50).
const OPTIONAL: &[u8] = b":(optional)";

/// What paths begin with.
pub(super) struct Places<'s> {
    /// What `~` may be.
    pub(super) homes: &'s [AbsolutePath],
    /// Lines of passwd(5).
    users: Vec<u8>,
}

impl<'s> Places<'s> {
    pub(super) fn new(homes: &'s [AbsolutePath]) -> Result<Self, Errno> {
        let users = read_file(Path::new(USERS))?.unwrap_or_default();
        Ok(Self { homes, users })
    }

    /// What a value may mean as a path.
    pub(super) fn of(&self, value: &[u8], base: Option<&Path>) -> Vec<PathBuf> {
        let mut places = self.plain(value, base);
        // Older ones take it for the beginning of a name.
        if let Some(value) = value.strip_prefix(OPTIONAL) {
            places.extend(self.plain(value, base));
        }
        places
    }

    fn plain(&self, value: &[u8], base: Option<&Path>) -> Vec<PathBuf> {
        match value {
            [] => Vec::new(),
            [b'/', ..] => vec![path(value)],
            [b'~', rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == b'/');
                let (user, below) = rest.split_at(end.unwrap_or(rest.len()));
                let below = path(below.strip_prefix(b"/").unwrap_or(below));
                let homes = self.homes_of(user).into_iter();
                homes.map(|home| home.join(&below)).collect()
            }
            [b'%', rest @ ..] => match rest.strip_prefix(b"(prefix)/") {
                Some(below) => PREFIXES
                    .map(|prefix| Path::new(prefix).join(path(below)))
                    .to_vec(),
                None => joined(base, value),
            },
            _ => joined(base, value),
        }
    }

    /// The homes that a user may have. One whom the table does not know (nsswitch.conf(5)) has one beside those that
    /// are known.
    fn homes_of(&self, user: &[u8]) -> Vec<PathBuf> {
        if user.is_empty() {
            let homes = self.homes.iter();
            return homes.map(|home| home.as_path().to_path_buf()).collect();
        }
        let lines = self.users.split(|byte| *byte == b'\n');
        let found = lines.filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let is_user = fields.next() == Some(user);
            let home = fields.nth(4).filter(|home| home.starts_with(b"/"));
            home.filter(|_| is_user).map(path)
        });
        let found: Vec<_> = found.collect();
        if !found.is_empty() {
            return found;
        }
        let above = self.homes.iter().filter_map(|home| home.as_path().parent());
        above.map(|above| above.join(path(user))).collect()
    }
}

/// Whether a value means another path where a tree with it is moved.
pub(super) fn is_relative(value: &[u8]) -> bool {
    let value = value.strip_prefix(OPTIONAL).unwrap_or(value);
    !matches!(value.first(), Some(b'/' | b'~' | b'%'))
}

/// The words of a command that a shell runs and that may be paths: the first one if it is no name of a program, what
/// follows, and values of options. The whole value counts too, and what expands to something is not known.
pub(super) fn words(value: &[u8]) -> Vec<Vec<u8>> {
    let is_separator =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'&' | b'|' | b'(' | b')');
    let unquoted: Vec<u8> = value
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\'' | b'"' | b'\\'))
        .collect();
    let mut found = Vec::new();
    let mut words = unquoted
        .split(is_separator)
        .filter(|word| !word.is_empty())
        .peekable();
    if words.peek().is_some_and(|first| !first.contains(&b'/')) {
        // Found by `PATH`, or whether a watcher is on.
        words.next();
    }
    for word in words {
        let option = word.iter().position(|byte| *byte == b'=');
        let argument = option.and_then(|at| word.get(at + 1..)).unwrap_or(word);
        if !argument.is_empty() && !argument.starts_with(b"-") {
            found.push(argument.to_vec());
        }
    }
    let value = value.to_vec();
    if value.contains(&b'/') && !found.contains(&value) {
        found.push(value);
    }
    found
}

fn joined(base: Option<&Path>, value: &[u8]) -> Vec<PathBuf> {
    base.map(|base| base.join(path(value)))
        .into_iter()
        .collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_begin_with() {
        let homes = [AbsolutePath::new("/home/me").unwrap()];
        let places = Places {
            homes: &homes,
            users: b"root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000:,,:/srv/me:/bin/sh\nodd:x\n"
                .to_vec(),
        };
        let of = |value: &str| -> Vec<String> {
            let found = places.of(value.as_bytes(), Some(Path::new("/top")));
            let found = found.into_iter().map(PathBuf::into_os_string);
            found.map(|path| path.into_string().unwrap()).collect()
        };
        assert_eq!(of("/a/b"), ["/a/b"]);
        assert_eq!(of("a/b"), ["/top/a/b"]);
        assert_eq!(of("~/a"), ["/home/me/a"]);
        assert_eq!(of("~me/a"), ["/srv/me/a"]);
        assert_eq!(of("~root"), ["/root/"]);
        assert_eq!(of("~other/a"), ["/home/other/a"]);
        assert_eq!(of("~odd/a"), ["/home/odd/a"]);
        assert_eq!(of(":(optional)a"), ["/top/:(optional)a", "/top/a"]);
        assert_eq!(of(":(optional)~/a"), ["/top/:(optional)~/a", "/home/me/a"]);
        assert_eq!(
            of("%(prefix)/a"),
            ["/usr/a", "/usr/local/a", "/home/linuxbrew/.linuxbrew/a"]
        );
        assert_eq!(of("%a"), ["/top/%a"]);
        assert!(of("").is_empty());
    }

    #[test]
    fn words_of_a_command() {
        let of = |value: &str| -> Vec<String> {
            let found = words(value.as_bytes()).into_iter();
            found.map(|word| String::from_utf8(word).unwrap()).collect()
        };
        assert!(of("true").is_empty());
        assert!(of("").is_empty());
        assert_eq!(of("tools/watch"), ["tools/watch"]);
        assert_eq!(
            of("tools/watch --quiet a"),
            ["tools/watch", "a", "tools/watch --quiet a"]
        );
        assert_eq!(of("sh watch.sh"), ["watch.sh"]);
        assert_eq!(
            of("python3 'tools/w.py'"),
            ["tools/w.py", "python3 'tools/w.py'"]
        );
        assert_eq!(of("x --run=a/b -v"), ["a/b", "x --run=a/b -v"]);
    }
}
