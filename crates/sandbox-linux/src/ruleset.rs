//! The Landlock ruleset of one launch, made with the `landlock` crate. The stages add its rules,
//! because most of them hang on mounts that only the stages make.

use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    Scope,
};

use crate::{facts::PathKind, plan::BindAccess};

/// The rights that grants give, as the kernel's bit masks. Rights of directories can't be granted
/// on other files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rights {
    abi: ABI,
}

impl Rights {
    /// The rights of a kernel with this ABI.
    pub(crate) fn new(abi: u32) -> Self {
        let abi = match abi {
            0 => ABI::Unsupported,
            1 => ABI::V1,
            2 => ABI::V2,
            3 => ABI::V3,
            4 => ABI::V4,
            5 => ABI::V5,
            _ => ABI::V6,
        };
        Self { abi }
    }

    /// The mask of a grant.
    pub(crate) fn mask(self, access: BindAccess, kind: PathKind) -> u64 {
        let rights: BitFlags<AccessFs> = match access {
            BindAccess::ReadOnly => AccessFs::from_read(self.abi),
            BindAccess::Writable => AccessFs::from_all(self.abi),
        };
        match kind {
            PathKind::Directory => rights.bits(),
            PathKind::File => (rights & AccessFs::from_file(self.abi)).bits(),
        }
    }
}

/// Creates a ruleset that handles every file right of the ABI, and scopes signals and abstract
/// sockets where the kernel can.
pub(crate) fn create(abi: u32) -> Result<Option<OwnedFd>, RulesetError> {
    let abi = Rights::new(abi).abi;
    // The ABI was probed, so every right asked for here exists: a refusal is an error.
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    Ok(ruleset.create()?.into())
}
