//! What a guest runs, as a disk image: the suites with the binary they try, or a shell line.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::machine::Accel;
use crate::{
    shell::{CommandExt as _, command, say},
    suites::{Linking, Suites},
};

/// A read-only disk image with a script called `job`, in a directory that goes away with it.
#[derive(Debug)]
pub(crate) struct Payload {
    dir: tempfile::TempDir,
    /// How many suites the job runs.
    pub(crate) suites: usize,
}

impl Payload {
    /// The suites with `filter` as their arguments, or `line` instead of them.
    pub(crate) fn new(line: Option<&str>, filter: &[String], accel: Accel) -> Result<Self> {
        let Some(line) = line else {
            return Self::pack(|content| {
                job(filter, accel, &Suites::build(Linking::Static, content)?)
            });
        };
        Self::shell_line(line)
    }

    /// A job of one line.
    pub(crate) fn shell_line(line: &str) -> Result<Self> {
        Self::pack(|_| Ok((format!("{line}\n"), 0)))
    }

    /// The disk image.
    pub(crate) fn image(&self) -> PathBuf {
        self.dir.path().join("payload.sqfs")
    }

    fn pack(fill: impl FnOnce(&Path) -> Result<(String, usize)>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let content = dir.path().join("content");
        fs::create_dir(&content)?;
        let (job, suites) = fill(&content)?;
        fs::write(content.join("job"), job)?;
        let payload = Self { dir, suites };
        command("mksquashfs")
            .arg(content)
            .arg(payload.image())
            .args([
                "-quiet",
                "-no-progress",
                "-noappend",
                "-comp",
                "lz4",
                "-all-root",
            ])
            .run_quietly()?;
        Ok(payload)
    }
}

/// The script that runs the suites, and how many it runs. It goes on after a failed suite.
fn job(filter: &[String], accel: Accel, suites: &Suites) -> Result<(String, usize)> {
    let scale = match accel {
        Accel::Kvm => 2,
        Accel::Tcg => 30,
    };
    let mut job = format!("export SRT_UNDER_TEST=/payload/srt SRT_TIME_SCALE={scale}\nfailed=0\n");
    let filter: Vec<String> = filter
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let mut count = 0;
    for executable in &suites.executables {
        let name = executable
            .file_name()
            .and_then(|name| name.to_str())
            .context("a suite has no name")?;
        if accel == Accel::Tcg && name == BENCHMARKS {
            say(format!(
                "left out: suite `{name}`, times mean nothing in an emulated machine"
            ));
            continue;
        }
        let run = format!("/payload/suites/{name} --color never {}", filter.join(" "));
        job.push_str(&format!("echo 'suite {name}'\n{run} || failed=1\n"));
        count += 1;
    }
    job.push_str("exit $failed\n");
    Ok((job, count))
}

/// The suite that measures.
const BENCHMARKS: &str = "bench";

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(names: &[&str]) -> Suites {
        let executables = names
            .iter()
            .map(|name| PathBuf::from("suites").join(name))
            .collect();
        Suites {
            dir: PathBuf::new(),
            srt: PathBuf::new(),
            executables,
        }
    }

    #[test]
    fn the_job_runs_every_suite_and_quotes_the_filter() {
        let filter = ["it's".to_owned(), "--exact".to_owned()];
        let (text, count) = job(&filter, Accel::Kvm, &suites(&["bench", "cli"])).unwrap();
        assert_eq!(count, 2);
        assert!(
            text.contains(r"/payload/suites/cli --color never 'it'\''s' '--exact' || failed=1"),
            "{text}"
        );
        assert!(text.ends_with("exit $failed\n"));
    }

    #[test]
    fn an_emulated_machine_measures_nothing() {
        let (text, count) = job(&[], Accel::Tcg, &suites(&["bench", "cli"])).unwrap();
        assert_eq!(count, 1);
        assert!(!text.contains("bench"));
    }
}
