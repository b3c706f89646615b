//! The filter specification → BPF programs for this machine's architecture.
//!
//! Calls that are refused whatever their arguments are go into one program that finds its number by
//! bisection: when a filter is installed the kernel runs it for every number of its tables
//! (`seccomp_cache_prepare`), so a list of comparisons costs a quarter of a millisecond at each
//! launch. Tests of arguments are compiled by `seccompiler`, one program for each error. All of them
//! are joined to one, since installing a program costs more than running it, and that one is made
//! smaller. What is asked most comes first ([`quick`]).

mod numbers;
mod quick;
mod shrink;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

pub(crate) use self::numbers::number;
use self::numbers::number_on;
use crate::{
    plan::{ArgumentTest, FilterAction, FilterSpec, SyscallRule},
    sys::seccomp::Instruction,
};

/// Why a filter can't be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no table of numbers for this machine.
    #[error("no system call table for this architecture")]
    Architecture,
    /// The compiler refused.
    #[error("cannot compile the system call filter")]
    Compile(#[source] seccompiler::BackendError),
    /// A jump of the first program is longer than BPF has.
    #[error("the table of refused system calls is too long")]
    TooLong,
}

/// Compiles the program to install.
pub(crate) fn compile(spec: &FilterSpec) -> Result<Vec<Instruction>, FilterError> {
    compile_for(numbers::HERE.ok_or(FilterError::Architecture)?, spec)
}

fn compile_for(
    architecture: TargetArch,
    spec: &FilterSpec,
) -> Result<Vec<Instruction>, FilterError> {
    let mut program = quick::program(architecture, spec);
    program.extend(compile_all(architecture, spec)?);
    Ok(shrink::shrink(program))
}

/// All rules.
fn compile_all(
    architecture: TargetArch,
    spec: &FilterSpec,
) -> Result<Vec<Instruction>, FilterError> {
    let mut refused: BTreeMap<u32, FilterAction> = BTreeMap::new();
    let mut tested: BTreeMap<FilterAction, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    for rule in spec.rules() {
        // A call that the architecture lacks can't be made, so there is nothing to refuse.
        let Some(number) = number_on(architecture, rule.name) else {
            continue;
        };
        let action = installed(rule);
        if rule.tests.is_empty() {
            let number = u32::try_from(number).map_err(|_negative| FilterError::Architecture)?;
            refused.insert(number, action);
        } else {
            let rules = tested.entry(action).or_default();
            let conditions = conditions(rule).map_err(FilterError::Compile)?;
            rules.entry(number).or_default().push(conditions);
        }
    }
    let refused: Vec<_> = refused.into_iter().collect();
    let mut program = Vec::new();
    for (action, rules) in tested {
        let placed = placeholder(action);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, placed, architecture)
            .map_err(FilterError::Compile)?;
        let tests = BpfProgram::try_from(filter).map_err(FilterError::Compile)?;
        let tests: Vec<_> = tests.into_iter().map(instruction).collect();
        program.extend(falling_through(&tests)?);
    }
    program.extend(bisection(architecture, &refused)?);
    Ok(program)
}

/// The program with a jump past its end wherever it allows a call, so that another one can follow.
fn falling_through(program: &[Instruction]) -> Result<Vec<Instruction>, FilterError> {
    let last = program.len().saturating_sub(1);
    let step = |(at, instruction): (usize, &Instruction)| {
        if (instruction.code, instruction.k) != (RETURN, libc::SECCOMP_RET_ALLOW) {
            return Ok(*instruction);
        }
        let rest = u32::try_from(last - at).map_err(|_far| FilterError::TooLong)?;
        Ok(step(JUMP, 0, 0, rest))
    };
    program.iter().enumerate().map(step).collect()
}

/// What the program does for a rule: the supervisor refuses what is to be reported.
fn installed(rule: &SyscallRule) -> FilterAction {
    if rule.is_reported() {
        FilterAction::Supervised
    } else {
        rule.action
    }
}

/// The error of a refused call; none for one that the supervisor answers.
pub(crate) fn error(action: FilterAction) -> Option<i32> {
    match action {
        FilterAction::NotPermitted => Some(libc::EPERM),
        FilterAction::NotImplemented => Some(libc::ENOSYS),
        FilterAction::NoAddressFamily => Some(libc::EAFNOSUPPORT),
        FilterAction::Supervised => None,
    }
}

/// What a program returns for a call.
fn returned(action: FilterAction) -> u32 {
    error(action).map_or(libc::SECCOMP_RET_USER_NOTIF, |errno| {
        libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()
    })
}

/// The action as the compiler knows it. It has no notifications, so a trace stands for one.
fn placeholder(action: FilterAction) -> SeccompAction {
    match returned(action) {
        libc::SECCOMP_RET_USER_NOTIF => SeccompAction::Trace(0),
        value => SeccompAction::Errno(value & libc::SECCOMP_RET_DATA),
    }
}

// linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS; BPF_JMP | BPF_JEQ or BPF_JGE | BPF_K; BPF_RET.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
/// BPF_JMP | BPF_JSET | BPF_K.
const JUMP_IF_ANY_BIT: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// `AUDIT_ARCH_…` of linux/audit.h.
fn audit_number(architecture: TargetArch) -> u32 {
    match architecture {
        TargetArch::x86_64 => 0xc000_003e,
        TargetArch::aarch64 => 0xc000_00b7,
        TargetArch::riscv64 => 0xc000_00f3,
    }
}

/// On x86-64 the kernel also takes numbers with bit 30 set, the x32 table, under the same
/// architecture value: a filter that compares numbers would miss every one of them. No other
/// architecture has numbers that large.
const X32_BIT: u32 = 0x4000_0000;

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn give(action: FilterAction) -> Instruction {
    step(RETURN, 0, 0, returned(action))
}

/// The program that refuses numbers, sorted ascending. Calls through another architecture's table
/// kill the process: none of the numbers here would mean the same there.
fn bisection(
    architecture: TargetArch,
    refused: &[(u32, FilterAction)],
) -> Result<Vec<Instruction>, FilterError> {
    let mut program = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(JUMP_IF_EQUAL, 1, 0, audit_number(architecture)),
        step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(LOAD, 0, 0, NUMBER),
        step(JUMP_IF_AT_LEAST, 0, 1, X32_BIT),
        give(FilterAction::NotImplemented),
    ];
    bisect(refused, &mut program)?;
    Ok(program)
}

fn bisect(
    refused: &[(u32, FilterAction)],
    program: &mut Vec<Instruction>,
) -> Result<(), FilterError> {
    match refused {
        [] => program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW)),
        [(number, refusal)] => {
            program.push(step(JUMP_IF_EQUAL, 0, 1, *number));
            program.push(give(*refusal));
            program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
        }
        _ => {
            let (lower, upper) = refused.split_at(refused.len() / 2);
            let pivot = upper.first().map_or(u32::MAX, |(number, _)| *number);
            let jump = program.len();
            program.push(step(JUMP_IF_AT_LEAST, 0, 0, pivot));
            bisect(lower, program)?;
            let distance = program.len() - jump - 1;
            let distance = u8::try_from(distance).map_err(|_far| FilterError::TooLong)?;
            if let Some(jump) = program.get_mut(jump) {
                jump.jt = distance;
            }
            bisect(upper, program)?;
        }
    }
    Ok(())
}

fn instruction(from: seccompiler::sock_filter) -> Instruction {
    let seccompiler::sock_filter { code, jt, jf, k } = from;
    let k = if (code, k) == (RETURN, libc::SECCOMP_RET_TRACE) {
        returned(FilterAction::Supervised)
    } else {
        k
    };
    Instruction { code, jt, jf, k }
}

fn conditions(rule: &SyscallRule) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = rule.tests.iter().map(|test| {
        let (argument, operator, value) = match *test {
            ArgumentTest::Is(argument, value) => (argument, SeccompCmpOp::Eq, value),
            ArgumentTest::IsNot(argument, value) => (argument, SeccompCmpOp::Ne, value),
            ArgumentTest::Masked(argument, mask, value) => {
                (argument, SeccompCmpOp::MaskedEq(mask.into()), value)
            }
        };
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    //! The first program, run by an interpreter for every number.

    use super::*;
    use crate::plan::{NestedNamespaces, SURFACE, SocketGuard, Supervision, Tracing};

    const X86: TargetArch = TargetArch::x86_64;

    /// Runs a program that uses the instructions above only.
    fn run(program: &[Instruction], architecture: u32, number: u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let taken = match code {
                LOAD => {
                    accumulator = if k == NUMBER { number } else { architecture };
                    continue;
                }
                JUMP_IF_EQUAL => accumulator == k,
                JUMP_IF_AT_LEAST => accumulator >= k,
                RETURN => return k,
                _ => panic!("unexpected instruction {code:#x}"),
            };
            at += usize::from(if taken { jt } else { jf });
        }
    }

    #[test]
    fn exactly_the_listed_numbers_are_refused() {
        let refusals = [FilterAction::NotPermitted, FilterAction::Supervised];
        for count in 0..100_u32 {
            let numbers: Vec<_> = (0..count).map(|index| index * 3 + 1).collect();
            let listed: Vec<_> = numbers
                .iter()
                .copied()
                .zip(refusals.into_iter().cycle())
                .collect();
            let program = bisection(X86, &listed).unwrap();
            for number in 0..400 {
                let expected = listed.iter().find(|(listed, _)| *listed == number);
                let expected =
                    expected.map_or(libc::SECCOMP_RET_ALLOW, |(_, action)| returned(*action));
                assert_eq!(
                    run(&program, audit_number(X86), number),
                    expected,
                    "{number}"
                );
            }
        }
    }

    #[test]
    fn a_program_that_falls_through_ends_where_the_next_one_begins() {
        let allow = step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
        let first = [
            step(JUMP_IF_EQUAL, 1, 0, 7),
            allow,
            give(FilterAction::NotPermitted),
            allow,
        ];
        let joined = falling_through(&first).unwrap();
        let jumps: Vec<_> = joined
            .iter()
            .map(|instruction| (instruction.code, instruction.k))
            .collect();
        let refusal = give(FilterAction::NotPermitted);
        let expected = [
            (JUMP_IF_EQUAL, 7),
            (JUMP, 2),
            (RETURN, refusal.k),
            (JUMP, 0),
        ];
        assert_eq!(jumps, expected);
    }

    #[test]
    fn foreign_tables_are_closed() {
        let program = bisection(X86, &[]).unwrap();
        let x32_write = X32_BIT + 1;
        let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        assert_eq!(run(&program, audit_number(X86), x32_write), enosys);
        assert_eq!(run(&program, audit_number(X86), 1), libc::SECCOMP_RET_ALLOW);
        let i386 = 0x4000_0003;
        assert_eq!(run(&program, i386, 1), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn a_table_that_is_too_long_is_an_error() {
        let listed: Vec<_> = (0..400)
            .map(|number| (number, FilterAction::NotPermitted))
            .collect();
        assert!(matches!(bisection(X86, &listed), Err(FilterError::TooLong)));
    }

    const MASK: u16 = shrink::MASK;

    /// Runs a whole program for a call with the same value in all arguments.
    fn answer(program: &[Instruction], architecture: u32, number: u32, argument: u64) -> u32 {
        let half = |shift: u32| u32::try_from(argument >> shift & 0xffff_ffff).unwrap();
        run_with(program, |field| match field {
            NUMBER => number,
            ARCHITECTURE => architecture,
            // Arguments start at 16, their low halves first.
            _ if field % 8 == 0 => half(0),
            _ => half(32),
        })
    }

    /// The same with a value for each of the first three arguments.
    pub(super) fn answer_each(program: &[Instruction], number: u32, arguments: [u32; 3]) -> u32 {
        run_with(program, |field| match field {
            16 => arguments[0],
            24 => arguments[1],
            32 => arguments[2],
            _ => number,
        })
    }

    pub(super) fn run_with(program: &[Instruction], field: impl Fn(u32) -> u32) -> u32 {
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let taken = match code {
                LOAD => {
                    accumulator = field(k);
                    continue;
                }
                MASK => {
                    accumulator &= k;
                    continue;
                }
                JUMP => {
                    at += usize::try_from(k).unwrap();
                    continue;
                }
                JUMP_IF_EQUAL => accumulator == k,
                JUMP_IF_AT_LEAST => accumulator >= k,
                JUMP_IF_ANY_BIT => accumulator & k != 0,
                RETURN => return k,
                _ => panic!("unexpected instruction {code:#x}"),
            };
            at += usize::from(if taken { jt } else { jf });
        }
    }

    #[test]
    fn each_row_is_answered_as_the_table_says_on_each_architecture() {
        let sockets = SocketGuard::Nobody;
        for architecture in [X86, TargetArch::aarch64, TargetArch::riscv64] {
            let own = audit_number(architecture);
            for (nested, tracing) in [
                (NestedNamespaces::Refused, Tracing::Refused),
                (NestedNamespaces::Allowed, Tracing::Refused),
                (NestedNamespaces::Refused, Tracing::Allowed),
                (NestedNamespaces::Allowed, Tracing::Allowed),
            ] {
                let spec = FilterSpec::new(&sockets, nested, tracing, Supervision::Off);
                let program = compile_for(architecture, &spec).unwrap();
                for row in SURFACE {
                    let Some(number) = number_on(architecture, row.name) else {
                        continue;
                    };
                    let number = u32::try_from(number).unwrap();
                    let argument = match row.test {
                        None => 0,
                        Some(ArgumentTest::Is(_, value) | ArgumentTest::Masked(_, _, value)) => {
                            u64::from(value)
                        }
                        Some(ArgumentTest::IsNot(..)) => panic!("no row has this"),
                    };
                    let stands = (spec.rules().iter())
                        .find(|rule| (rule.name, rule.reason) == (row.name, row.reason));
                    let expected = match stands {
                        Some(rule) if rule.is_reported() => libc::SECCOMP_RET_USER_NOTIF,
                        Some(_) => returned(row.action),
                        None => libc::SECCOMP_RET_ALLOW,
                    };
                    // The kernel ignores the high bits of these arguments.
                    for high in [0, 1 << 32, 0xffff_ffff << 32] {
                        assert_eq!(
                            answer(&program, own, number, argument | high),
                            expected,
                            "{architecture:?} {} {}",
                            row.name,
                            row.reason
                        );
                    }
                    if row.test.is_some() {
                        let allowed = answer(&program, own, number, 0);
                        assert_eq!(allowed, libc::SECCOMP_RET_ALLOW, "{}", row.name);
                    }
                    let foreign = answer(&program, own ^ 1, number, argument);
                    assert_ne!(foreign, libc::SECCOMP_RET_ALLOW, "{}", row.name);
                }
            }
        }
    }
}
