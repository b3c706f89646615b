//! Which entries of listed sockets are as good as no sandbox.

use std::ffi::OsStr;

use crate::{AbsolutePath, PathBase, PathPattern, PatternSyntax, powerful_socket};

fn is_loud(entry: &str) -> bool {
    let base = PathBase {
        working_directory: AbsolutePath::new("/srv/app").unwrap(),
        home: Some(AbsolutePath::new("/data/people/me").unwrap()),
    };
    let pattern = PathPattern::parse(OsStr::new(entry), PatternSyntax::Glob, &base).unwrap();
    powerful_socket(&pattern).is_some()
}

#[test]
fn entries_that_reach_a_known_service_are_loud() {
    for entry in [
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/srv/odd/docker.sock",
        "/",
        "/run",
        "/var/run",
        "/run/user/1001",
        "/run/user",
        "/run/user/*/docker.sock",
        "/run/user/*/*",
        "/run/*.sock",
        "/run/**",
        "/var/run/*",
        "/**",
        "**/docker.sock",
        "/srv/**/docker*",
        "/srv/[c-e]ocker.sock",
        "~/.rd",
        "~/.rd/*",
        "~/.docker",
        "~/.colima/*/docker.sock",
        "~/.colima/*/*.sock",
        "/home/me/.colima",
        "/home/me",
        "/run/docker",
        "/tmp",
        "/tmp/tmux-1001",
        "/tmp/tmux-1001/default",
        "/tmp/tmux-*/default",
        "/run/user/1001/bus",
        "/run/cri-dockerd.sock",
        "/var/run/dockershim.sock",
        "/run/screen",
        "/run/user/7/emacs/server",
        "/run/user/7/nvim.42.0",
        "/tmp/kitty-42",
        "/tmp/ssh-XXabc/agent.42",
        "/tmp/ssh-*/agent.*",
        "/run/user/7/gnupg/S.gpg-agent.ssh",
        "~/.gnupg/S.gpg-agent",
        "/run/user/7/keyring/control",
        "/tmp/.X11-unix/X9",
    ] {
        assert!(is_loud(entry), "{entry}");
    }
}

#[test]
fn other_entries_are_not() {
    for entry in [
        "/srv/app/agent.sock",
        "/srv/app",
        "/srv/app/*.sock",
        "/srv/app/**/*.sock",
        "/srv/app/db-*.sock",
        "/srv/app/default",
        "/srv/app/bus",
        "/srv/notdocker.sock",
        "/run/app.sock",
        "/run/app",
        "/run/app/*",
        "/run/app-*.sock",
        "/run/postgresql",
        "/run/user/7/other",
        "/run/user/7/pipewire-0",
        "/tmp/app.sock",
        "/tmp/mysql*.sock",
        "~/.app/app.sock",
        "~/work",
    ] {
        assert!(!is_loud(entry), "{entry}");
    }
}
