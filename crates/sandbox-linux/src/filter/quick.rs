//! Opens for reading are the calls that programs make most, and each is asked about in the filter. What no rule is about
//! is allowed after a few instructions, instead of after all tests.

use seccompiler::TargetArch;

use super::{
    ARCHITECTURE, JUMP_IF_ANY_BIT, JUMP_IF_EQUAL, LOAD, NUMBER, RETURN, audit_number,
    numbers::number_on, step,
};
use crate::{
    plan::{ArgumentTest, FilterSpec},
    sys::seccomp::Instruction,
};

/// Calls with rules that programs make most.
const FREQUENT: [&str; 2] = ["openat", "open"];

/// Offset of the arguments in `struct seccomp_data` (linux/seccomp.h), their low halves first: all architectures here are
/// little-endian.
const ARGUMENTS: u32 = 16;
const ARGUMENT_BYTES: u32 = 8;

/// A call that no rule is about unless one of these bits is set in an argument.
#[derive(Debug, PartialEq, Eq)]
struct Quick {
    number: u32,
    argument: u8,
    bits: u32,
}

/// What runs before everything else.
pub(super) fn program(architecture: TargetArch, spec: &FilterSpec) -> Vec<Instruction> {
    let calls = FREQUENT
        .iter()
        .filter_map(|name| quick(architecture, spec, name));
    let mut rest = Vec::new();
    // From the end, as a call that is not allowed goes on behind it.
    for Quick {
        number,
        argument,
        bits,
    } in calls
    {
        // A few instructions for each of the few.
        let past = u8::try_from(rest.len()).unwrap_or(u8::MAX);
        let field = ARGUMENTS + ARGUMENT_BYTES * u32::from(argument);
        let answer = [
            step(JUMP_IF_EQUAL, 0, 3, number),
            step(LOAD, 0, 0, field),
            step(JUMP_IF_ANY_BIT, past + 1, 0, bits),
            step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        rest.splice(0..0, answer);
    }
    if rest.is_empty() {
        return rest;
    }
    let past = u8::try_from(rest.len()).unwrap_or(u8::MAX);
    let start = [
        step(LOAD, 0, 0, ARCHITECTURE),
        step(JUMP_IF_EQUAL, 0, past + 1, audit_number(architecture)),
        step(LOAD, 0, 0, NUMBER),
    ];
    rest.splice(0..0, start);
    rest
}

fn quick(architecture: TargetArch, spec: &FilterSpec, name: &str) -> Option<Quick> {
    let number = u32::try_from(number_on(architecture, name)?).ok()?;
    let mut needed: Option<(u8, u32)> = None;
    for rule in spec.rules().iter().filter(|rule| rule.name == name) {
        // All tests must hold, so the bits of one are needed.
        let (argument, bits) = rule.tests.iter().find_map(needed_bits)?;
        let (known, so_far) = needed.unwrap_or((argument, 0));
        if known != argument {
            return None;
        }
        needed = Some((argument, so_far | bits));
    }
    needed.map(|(argument, bits)| Quick {
        number,
        argument,
        bits,
    })
}

/// Bits without one of which a test does not hold.
fn needed_bits(test: &ArgumentTest) -> Option<(u8, u32)> {
    match *test {
        ArgumentTest::Is(argument, value) | ArgumentTest::Masked(argument, _, value) => {
            (value != 0).then_some((argument, value))
        }
        ArgumentTest::IsNot(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        filter::{compile_all, shrink, tests::run_with},
        plan::{NestedNamespaces, SocketGuard, Supervision, Tracing},
    };

    const X86: TargetArch = TargetArch::x86_64;

    fn spec(supervision: Supervision) -> FilterSpec {
        let (nested, tracing) = (NestedNamespaces::Refused, Tracing::Refused);
        FilterSpec::new(&SocketGuard::Nobody, nested, tracing, supervision)
    }

    /// Every set of flags that means something to open(2), and some that do not.
    fn flags() -> impl Iterator<Item = u32> {
        let bits = [
            1,
            2,
            0o100,
            0o200,
            0o1000,
            0o2000,
            0o20_0000,
            0o40_0000,
            0o200_0000,
            0o1000_0000,
            0o2000_0000,
            1 << 31,
        ];
        (0..1_u32 << bits.len()).map(move |set| {
            let chosen = bits.iter().enumerate();
            let chosen = chosen.filter(|(place, _)| set >> place & 1 == 1);
            chosen.map(|(_, bit)| bit).sum()
        })
    }

    #[test]
    fn the_answers_are_those_of_the_rules() {
        for supervision in [Supervision::Off, Supervision::Changes, Supervision::Opens] {
            let spec = spec(supervision);
            let rules = compile_all(X86, &spec).unwrap();
            let whole = [program(X86, &spec), rules.clone()].concat();
            let whole = shrink::shrink(whole);
            for name in ["openat", "open", "openat2", "read", "creat"] {
                let number = u32::try_from(number_on(X86, name).unwrap()).unwrap();
                for flags in flags() {
                    let field = |offset| match offset {
                        NUMBER => number,
                        ARCHITECTURE => audit_number(X86),
                        _ => flags,
                    };
                    assert_eq!(
                        run_with(&whole, field),
                        run_with(&rules, field),
                        "{supervision:?} {name} {flags:#o}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_opened_for_reading_is_soon_allowed() {
        let open = |supervision| quick(X86, &spec(supervision), "openat");
        // O_ACCMODE, O_CREAT, O_TRUNC of the third argument (fcntl.h).
        let expected = Quick {
            number: 257,
            argument: 2,
            bits: 0o1103,
        };
        assert_eq!(open(Supervision::Changes), Some(expected));
        // There every open is asked about.
        assert_eq!(open(Supervision::Opens), None);
    }
}
