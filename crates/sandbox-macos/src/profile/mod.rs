//! Policy → Seatbelt profile.
//!
//! Invariants: the same inputs give the same bytes; the text holds no path of the host or the
//! policy (they are parameters) except inside regular expressions, which `glob` escapes; what
//! can't be expressed is an error.

mod base;
mod closed;
mod effective;
mod filesystem;
mod fold;
mod glob;
mod landing;
mod network;
mod parameters;
mod process;
mod protected;
mod sbpl;

use sandbox_policy::{AbsolutePath, Policy, PortConflict, PortMapping};

use crate::facts::{HostFacts, MacosRelease};

pub use effective::effective;
pub(crate) use landing::place;
pub use network::{Endpoints, LocalBinding, joined_ports};
pub use parameters::Parameter;

/// A complete profile: text, and the values of the parameters that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatbeltProfile {
    text: String,
    parameters: Vec<Parameter>,
}

/// Why a policy can't be enforced by Seatbelt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The release does not know all filters that a profile needs.
    #[error("macOS {release} is not supported: at least macOS {OLDEST_RELEASE} is needed")]
    UnsupportedRelease {
        /// The running release.
        release: MacosRelease,
    },
    /// The pattern has no equivalent regular expression.
    #[error("cannot express the pattern `{glob}` for macOS: {reason}")]
    UnsupportedGlob {
        /// The pattern.
        glob: String,
        /// What is in the way.
        reason: &'static str,
    },
    /// The pattern's regular expression is longer than Seatbelt takes.
    #[error(
        "the pattern `{glob}` is too long for macOS: its regular expression has {length} bytes, \
         {} are allowed",
        glob::REGEX_LIMIT
    )]
    GlobTooLong {
        /// The pattern.
        glob: String,
        /// Length of the expression.
        length: usize,
    },
    /// Ports that can't all be had at once.
    #[error(transparent)]
    Ports(PortConflict),
    /// A server whose port outside is another one than inside.
    #[error(
        "`{mapping}` can't be published on macOS, where the loopback interface is the host's: publish the server's own port (from {origin})"
    )]
    PortMapping {
        /// The mapping.
        mapping: PortMapping,
        /// The rule's origin.
        origin: String,
    },
    /// An opened path behind a symbolic link that the command itself could have planted.
    #[error(
        "`{}` leads through a symlink inside a write root to `{}`: name the target itself (from {origin})",
        path.as_path().display(),
        target.as_path().display()
    )]
    PlantedLink {
        /// The path as written.
        path: AbsolutePath,
        /// Where it leads.
        target: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
}

/// Builds the profile that enforces [`effective()`] of `policy` on the machine of `facts`, with the
/// proxies at `endpoints` as the only way out.
pub fn lower(
    policy: &Policy,
    facts: &HostFacts,
    endpoints: &Endpoints,
) -> Result<SeatbeltProfile, ProfileError> {
    if facts.release < OLDEST_RELEASE {
        return Err(ProfileError::UnsupportedRelease {
            release: facts.release,
        });
    }
    let policy = effective(policy, facts)?;
    let mut parameters = parameters::Parameters::default();
    let mut forms = base::rules();
    forms.extend(process::rules());
    forms.extend(network::rules(endpoints, &policy, &mut parameters)?);
    forms.extend(filesystem::rules(
        &policy.filesystem,
        facts,
        &mut parameters,
    )?);
    Ok(SeatbeltProfile {
        text: sbpl::print(&forms),
        parameters: parameters.into_values(),
    })
}

impl SeatbeltProfile {
    /// The SBPL text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The parameters, in the order of their numbers.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
}

/// `ioctl-command` knows `TIOCSTI` from here on; without it terminals could be typed into.
const OLDEST_RELEASE: MacosRelease = MacosRelease::new(13, 0);
