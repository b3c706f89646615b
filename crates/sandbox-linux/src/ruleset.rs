//! The Landlock ruleset of one launch, made with the `landlock` crate. The stages add its rules,
//! because most of them hang on mounts that only the stages make.

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    Scope, make_bitflags,
};

use crate::{
    facts::PathKind,
    plan::{BindAccess, Reads, RulesetSpec},
};

/// The rights that grants give, as the kernel's bit masks. Rights of directories can't be granted
/// on other files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    abi: ABI,
    handled: BitFlags<AccessFs>,
}

impl Rights {
    /// The rights of a ruleset; none where there is none.
    pub(crate) fn new(spec: Option<&RulesetSpec>) -> Self {
        let abi = match spec.map_or(0, |spec| spec.abi) {
            0 => ABI::Unsupported,
            1 => ABI::V1,
            2 => ABI::V2,
            3 => ABI::V3,
            4 => ABI::V4,
            5 => ABI::V5,
            6 => ABI::V6,
            7 => ABI::V7,
            8 => ABI::V8,
            _ => ABI::V9,
        };
        let all = AccessFs::from_all(abi);
        let handled = match spec.map(RulesetSpec::reads) {
            Some(Reads::Open) => all & !WITH_EVERY_OPEN,
            Some(Reads::Closed) | None => all,
        };
        let handled = match spec {
            Some(spec) if spec.closes_sockets => handled,
            Some(_) | None => handled & !AccessFs::ResolveUnix,
        };
        Self { abi, handled }
    }

    /// The mask of a grant.
    pub(crate) fn mask(self, access: BindAccess, kind: PathKind) -> u64 {
        let rights: BitFlags<AccessFs> = match access {
            BindAccess::ReadOnly => AccessFs::from_read(self.abi),
            // A place that may be written can hold sockets of the host's.
            BindAccess::Writable | BindAccess::Copied => {
                AccessFs::from_all(self.abi) & !AccessFs::ResolveUnix
            }
        };
        let rights = rights & self.handled;
        match kind {
            PathKind::Directory => rights.bits(),
            PathKind::File => (rights & AccessFs::from_file(self.abi)).bits(),
        }
    }
}

/// Rights that the kernel looks for at every open, also where it is for reading: with them it walks up
/// to the root each time, which makes a search of many files a fifth slower. Where everything may be
/// read they add nothing to what the mounts and the other rights keep: a file that can't be opened for
/// writing can't be truncated through a descriptor, and truncate(2) fails on read-only mounts.
const WITH_EVERY_OPEN: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | ReadDir | Truncate});

/// Creates a ruleset that handles the file rights of the plan, and scopes signals and abstract
/// sockets where the kernel can.
pub(crate) fn create(spec: &RulesetSpec) -> Result<Option<OwnedFd>, RulesetError> {
    let Rights { abi, handled } = Rights::new(Some(spec));
    // The ABI was probed, so every right asked for here exists: a refusal is an error.
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(handled)?;
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    Ok(ruleset.create()?.into())
}
