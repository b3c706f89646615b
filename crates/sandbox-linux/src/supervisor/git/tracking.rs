//! The one change of a foreign repository's settings that is permitted: which remote branch a branch
//! follows. `git branch`, `switch -c --track` and `push -u` write nothing else.

use super::config::{self, Line};

/// Whether two versions of a `config` differ in such sections alone.
pub(super) fn differs_in_tracking_only(old: &[u8], new: &[u8]) -> bool {
    match (Settings::split(old), Settings::split(new)) {
        (Some(old), Some(new)) => old.rest == new.rest && new.follows_known_remotes(),
        _ => false,
    }
}

/// Settings without their plain `[branch "…"]` sections.
struct Settings<'c> {
    rest: Vec<&'c str>,
    remotes: Vec<&'c str>,
}

impl<'c> Settings<'c> {
    fn split(content: &'c [u8]) -> Option<Self> {
        let content = str::from_utf8(content).ok()?;
        let mut settings = Settings {
            rest: Vec::new(),
            remotes: Vec::new(),
        };
        let mut section: Vec<&'c str> = Vec::new();
        for line in content.lines() {
            // A line that is continued could make a header of what is none.
            if line.trim_end_matches('\r').ends_with('\\') {
                return None;
            }
            if line.trim_start().starts_with('[') {
                settings.close(&section);
                section.clear();
            }
            section.push(line);
        }
        settings.close(&section);
        Some(settings)
    }

    /// Leaves a section out if it is plain to the last line, and keeps it whole if not.
    fn close(&mut self, section: &[&'c str]) {
        let mut remotes = Vec::new();
        let mut is_branch = false;
        for (index, line) in section.iter().enumerate() {
            is_branch = match config::read_line(line) {
                Some(Line::Header(header)) => index == 0 && header.is_branch(),
                Some(Line::Blank) => is_branch,
                Some(Line::Entry(key, value)) => {
                    if ["remote", "pushremote"]
                        .iter()
                        .any(|name| name.eq_ignore_ascii_case(key))
                    {
                        remotes.push(value);
                    }
                    is_branch && config::is_harmless_in_branch(key, value)
                }
                None => false,
            };
            if !is_branch {
                self.rest.extend(section);
                return;
            }
        }
        self.remotes.extend(remotes);
    }

    /// A branch must not follow a place of the command's choice.
    fn follows_known_remotes(&self) -> bool {
        self.remotes.iter().all(|remote| {
            let header = format!("[remote \"{remote}\"]");
            *remote == "." || self.rest.iter().any(|line| line.trim() == header)
        })
    }
}
