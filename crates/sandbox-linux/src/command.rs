//! A command as a host program describes it, and as `execve` takes it.

use std::{
    ffi::{CString, OsStr, OsString},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
};

use rustix::fs::FileType;
use sandbox_policy::AbsolutePath;

use crate::{error::LaunchError, stage::CommandImage, sys::exec::StringArray};

/// A command to run. Nothing is added to or taken from the words and variables given here.
#[derive(Debug)]
pub struct CommandSpec {
    /// Paths to try in order (see [`candidates`]).
    pub candidates: Vec<PathBuf>,
    /// All words, the program's name first.
    pub argv: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub working_directory: AbsolutePath,
    /// Standard input, output and error.
    pub streams: [Stream; 3],
}

/// A standard stream of the command.
#[derive(Debug)]
pub enum Stream {
    /// The host program's own.
    Inherited,
    /// This descriptor.
    Descriptor(OwnedFd),
}

/// The paths that a program's name stands for: itself if it holds a slash, else one for each
/// directory of `search_path`, as execvp(3) reads it (an empty entry is the working directory). No
/// name stands for none: a directory and nothing behind it would be the directory itself.
#[must_use]
pub fn candidates(program: &OsStr, search_path: &OsStr) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let directories = search_path.as_bytes().split(|byte| *byte == b':');
    let directory = |bytes: &[u8]| match bytes {
        [] => PathBuf::from("."),
        _ => PathBuf::from(OsStr::from_bytes(bytes)),
    };
    directories
        .map(|bytes| directory(bytes).join(program))
        .collect()
}

/// Through a directory all that is below it could be reached, past every mount.
pub(crate) fn refuse_directories(streams: &[Stream; 3]) -> Result<(), LaunchError> {
    let own = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for (number, (stream, own)) in (0..).zip(streams.iter().zip(own)) {
        let descriptor = match stream {
            Stream::Inherited => own,
            Stream::Descriptor(descriptor) => descriptor.as_fd(),
        };
        // One that is closed is found out when it is placed.
        let Ok(status) = rustix::fs::fstat(descriptor) else {
            continue;
        };
        if FileType::from_raw_mode(status.st_mode).is_dir() {
            return Err(LaunchError::DirectoryStream { number });
        }
    }
    Ok(())
}

pub(crate) fn stream_numbers(streams: &[Stream; 3]) -> [i32; 3] {
    let [stdin, stdout, stderr] = streams;
    let number = |stream: &Stream, own| match stream {
        Stream::Inherited => own,
        Stream::Descriptor(descriptor) => descriptor.as_raw_fd(),
    };
    [number(stdin, 0), number(stdout, 1), number(stderr, 2)]
}

impl CommandImage {
    pub(crate) fn new(
        candidates: Vec<PathBuf>,
        argv: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        working_directory: &AbsolutePath,
    ) -> Result<Self, LaunchError> {
        let text = |word: OsString| {
            CString::new(word.into_vec()).map_err(|error| LaunchError::Nul {
                word: OsString::from_vec(error.into_vec()),
            })
        };
        let variable = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            text(name)
        };
        let candidates = candidates
            .into_iter()
            .map(|path| text(path.into_os_string()));
        Ok(Self {
            candidates: candidates.collect::<Result<_, _>>()?,
            argv: StringArray::new(argv.into_iter().map(text).collect::<Result<_, _>>()?),
            envp: StringArray::new(
                environment
                    .into_iter()
                    .map(variable)
                    .collect::<Result<_, _>>()?,
            ),
            working_directory: text(working_directory.as_path().into())?,
        })
    }
}
