//! Where Debian packages come from: whatever this machine's own apt uses, so that no host name stands in the
//! repository and a local mirror or proxy is honoured.

use anyhow::{Context as _, Result};

use crate::{
    apt,
    shell::{CommandExt as _, command, is_installed, is_root},
};

/// A Debian mirror and the apt settings that are needed to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    /// The archive itself, without a final slash; `None` lets mmdebstrap use the one it knows.
    pub(crate) archive: Option<String>,
    /// The archive of security updates.
    pub(crate) security: Option<String>,
    /// Lines for an `apt.conf`: proxies and the like.
    pub(crate) settings: Vec<String>,
}

impl Mirror {
    /// Reads the mirror from the machine's apt, or takes `wanted`.
    pub(crate) fn of_this_machine(wanted: Option<&str>) -> Result<Self> {
        if !is_installed("apt-get") {
            anyhow::bail!("the kernels come from Debian packages: this needs a machine with apt");
        }
        if is_root()? {
            apt::update_once()?;
        }
        let targets = command("apt-get")
            .args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"])
            .stdout_text()
            .context("cannot ask apt for its mirrors")?;
        let dump = command("apt-config").arg("dump").stdout_text()?;
        Ok(Self::from_apt(&targets, &dump, wanted))
    }

    fn from_apt(targets: &str, dump: &str, wanted: Option<&str>) -> Self {
        let labelled = |label: &str| {
            let start = format!("Debian|{label}|");
            let uri = targets.lines().find_map(|line| line.strip_prefix(&start))?;
            Some(uri.trim_end_matches('/').to_owned())
        };
        let archive = wanted
            .map(|uri| uri.trim_end_matches('/').to_owned())
            .or_else(|| labelled("Debian"));
        let beside = |uri: &String| {
            uri.strip_suffix("/debian")
                .map(|base| format!("{base}/debian-security"))
        };
        let security = if wanted.is_some() {
            None
        } else {
            labelled("Debian-Security")
        };
        let security = security.or_else(|| archive.as_ref().and_then(beside));
        let wanted_settings = ["Acquire::http", "Acquire::https"];
        let settings = dump
            .lines()
            .filter(|line| {
                wanted_settings.iter().any(|start| line.starts_with(start))
                    && !line.ends_with(" \"\";")
            })
            .map(str::to_owned)
            .collect();
        Self {
            archive,
            security,
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "Ubuntu|Ubuntu|http://u.test/ubuntu/\nDebian|Debian|http://m.test/debian/\n\
                           Debian|Debian-Security|http://s.test/sec/\n";

    #[test]
    fn takes_the_archive_and_the_proxy_of_this_machine() {
        let dump =
            "Acquire::http \"\";\nAcquire::http::Proxy \"http://p.test:3142\";\nAPT::X \"1\";\n";
        let mirror = Mirror::from_apt(TARGETS, dump, None);
        assert_eq!(mirror.archive.as_deref(), Some("http://m.test/debian"));
        assert_eq!(mirror.security.as_deref(), Some("http://s.test/sec"));
        assert_eq!(
            mirror.settings,
            ["Acquire::http::Proxy \"http://p.test:3142\";"]
        );
    }

    #[test]
    fn a_named_mirror_wins_and_brings_its_own_security_archive() {
        let mirror = Mirror::from_apt(TARGETS, "", Some("http://x.test/debian/"));
        assert_eq!(mirror.archive.as_deref(), Some("http://x.test/debian"));
        assert_eq!(
            mirror.security.as_deref(),
            Some("http://x.test/debian-security")
        );
    }

    #[test]
    fn a_machine_without_debian_sources_has_no_archive() {
        let mirror = Mirror::from_apt("Ubuntu|Ubuntu|http://u.test/ubuntu/\n", "", None);
        assert!(mirror.archive.is_none() && mirror.security.is_none());
    }
}
