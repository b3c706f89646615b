//! A smaller program that answers the same.
//!
//! The kernel translates a filter each time it is installed, which takes time for each instruction, at
//! every launch. What `seccompiler` writes has a jump to a jump around each test, and loads an argument
//! again for each value that it is compared with.
//!
//! All jumps of a BPF program lead forward, so one pass in the program's order sees every way to an
//! instruction before the instruction itself.

use super::{JUMP, JUMP_IF_ANY_BIT, JUMP_IF_AT_LEAST, JUMP_IF_EQUAL, LOAD, RETURN, step};
use crate::sys::seccomp::Instruction;

/// BPF_ALU | BPF_AND | BPF_K.
pub(super) const MASK: u16 = 0x54;
/// BPF_JMP | BPF_JGT | BPF_K.
const JUMP_IF_GREATER: u16 = 0x25;

/// The longest conditional jump.
const FAR: usize = u8::MAX as usize;

/// What is in the accumulator: a field, whole or masked.
type Value = Option<(u32, Option<u32>)>;

/// Where an instruction leads: the second only where it tests.
#[derive(Clone, Copy)]
struct Ways {
    yes: usize,
    no: usize,
}

/// The smaller program; the same one where it holds something that is not understood.
pub(super) fn shrink(program: Vec<Instruction>) -> Vec<Instruction> {
    ways(&program)
        .and_then(|mut ways| {
            skip_loads(&program, &mut ways)?;
            share_returns(&program, &mut ways);
            lay_out(&program, &ways)
        })
        .unwrap_or(program)
}

/// Where each instruction leads, past what only jumps.
fn ways(program: &[Instruction]) -> Option<Vec<Ways>> {
    // Where one is that arrives at an index.
    let mut arrival: Vec<usize> = (0..program.len()).collect();
    let mut ways = vec![Ways { yes: 0, no: 0 }; program.len()];
    for (at, instruction) in program.iter().enumerate().rev() {
        let after = |distance: usize| {
            let target = at.checked_add(1)?.checked_add(distance)?;
            arrival.get(target).copied()
        };
        let (yes, no) = match instruction.code {
            JUMP => {
                let target = after(usize::try_from(instruction.k).ok()?)?;
                *arrival.get_mut(at)? = target;
                (target, target)
            }
            LOAD | MASK => (after(0)?, after(0)?),
            RETURN => (at, at),
            JUMP_IF_EQUAL | JUMP_IF_AT_LEAST | JUMP_IF_GREATER | JUMP_IF_ANY_BIT => {
                (after(instruction.jt.into())?, after(instruction.jf.into())?)
            }
            _ => return None,
        };
        *ways.get_mut(at)? = Ways { yes, no };
    }
    Some(ways)
}

/// Leads past loads of what is there already.
fn skip_loads(program: &[Instruction], ways: &mut [Ways]) -> Option<()> {
    // What is there on every way to an instruction; none where nothing leads.
    let mut entry: Vec<Option<Value>> = vec![None; program.len()];
    *entry.first_mut()? = Some(None);
    for (at, instruction) in program.iter().enumerate() {
        let Some(found) = entry.get(at).copied()? else {
            continue;
        };
        let left = match instruction.code {
            JUMP | RETURN => continue,
            LOAD => Some((instruction.k, None)),
            MASK => found.and_then(|(field, mask)| match mask {
                None => Some((field, Some(instruction.k))),
                Some(_) => None,
            }),
            _ => found,
        };
        let Ways { yes, no } = *ways.get(at)?;
        let targets = Ways {
            yes: past_loads(program, ways, yes, left)?,
            no: past_loads(program, ways, no, left)?,
        };
        *ways.get_mut(at)? = targets;
        for target in [targets.yes, targets.no] {
            let known = entry.get_mut(target)?;
            *known = match *known {
                None => Some(left),
                Some(other) => Some(other.filter(|other| Some(*other) == left)),
            };
        }
    }
    Some(())
}

/// Where a way leads on which the accumulator holds a value.
fn past_loads(
    program: &[Instruction],
    ways: &[Ways],
    target: usize,
    value: Value,
) -> Option<usize> {
    let Some((field, mask)) = value else {
        return Some(target);
    };
    let load = program.get(target)?;
    if (load.code, load.k) != (LOAD, field) {
        return Some(target);
    }
    let next = ways.get(target)?.yes;
    let Some(mask) = mask else {
        return Some(next);
    };
    let masks = program.get(next)?;
    if (masks.code, masks.k) == (MASK, mask) {
        Some(ways.get(next)?.yes)
    } else {
        Some(target)
    }
}

/// Leads to the last equal return that a jump can reach.
fn share_returns(program: &[Instruction], ways: &mut [Ways]) {
    let mut returns: Vec<(u32, usize)> = Vec::new();
    for (at, instruction) in program.iter().enumerate().rev() {
        match instruction.code {
            RETURN => {
                let known = returns
                    .iter_mut()
                    .find(|(value, _)| *value == instruction.k);
                match known {
                    // The one behind it serves as long as a jump from here may reach it.
                    Some((_, place)) if *place - at < FAR => {}
                    Some((_, place)) => *place = at,
                    None => returns.push((instruction.k, at)),
                }
            }
            JUMP | LOAD | MASK => {}
            _ => {
                let Some(Ways { yes, no }) = ways.get_mut(at) else {
                    continue;
                };
                for target in [yes, no] {
                    let value = program.get(*target).filter(|found| found.code == RETURN);
                    let shared =
                        value.and_then(|found| returns.iter().find(|(value, _)| *value == found.k));
                    if let Some((_, place)) = shared.filter(|(_, place)| *place - at <= FAR) {
                        *target = *place;
                    }
                }
            }
        }
    }
}

/// The instructions that can be reached, in their order.
fn lay_out(program: &[Instruction], ways: &[Ways]) -> Option<Vec<Instruction>> {
    let mut is_reached = vec![false; program.len()];
    *is_reached.first_mut()? = true;
    for at in 0..program.len() {
        if is_reached.get(at).copied()? {
            let Ways { yes, no } = *ways.get(at)?;
            *is_reached.get_mut(yes)? = true;
            *is_reached.get_mut(no)? = true;
        }
    }
    let mut place = vec![0_usize; program.len()];
    let mut count = 0;
    for (reached, place) in is_reached.iter().zip(&mut place) {
        *place = count;
        count += usize::from(*reached);
    }
    let mut smaller = Vec::with_capacity(count);
    for (at, instruction) in program.iter().enumerate() {
        if !is_reached.get(at).copied()? {
            continue;
        }
        let next = smaller.len() + 1;
        let Ways { yes, no } = *ways.get(at)?;
        let distance = |target: usize| place.get(target)?.checked_sub(next);
        smaller.push(match instruction.code {
            RETURN => *instruction,
            LOAD | MASK if distance(yes)? == 0 => *instruction,
            // The first instruction may be a jump.
            JUMP => step(JUMP, 0, 0, u32::try_from(distance(yes)?).ok()?),
            LOAD | MASK => return None,
            code => {
                let (yes, no) = (distance(yes)?, distance(no)?);
                let (yes, no) = (u8::try_from(yes).ok()?, u8::try_from(no).ok()?);
                step(code, yes, no, instruction.k)
            }
        });
    }
    Some(smaller)
}

#[cfg(test)]
mod tests {
    //! Programs of `seccompiler` and of chance, beside what becomes of them.

    use super::super::tests::answer_each;
    use super::*;

    const KILL: Instruction = step(RETURN, 0, 0, 0x8000_0000);
    const ALLOW: Instruction = step(RETURN, 0, 0, 0x7fff_0000);

    fn fields(program: &[Instruction]) -> Vec<(u16, u8, u8, u32)> {
        let fields = |found: &Instruction| (found.code, found.jt, found.jf, found.k);
        program.iter().map(fields).collect()
    }

    #[test]
    fn a_second_load_of_an_argument_is_left_out() {
        let program = vec![
            step(LOAD, 0, 0, 16),
            step(MASK, 0, 0, 3),
            step(JUMP_IF_EQUAL, 0, 1, 1),
            KILL,
            step(JUMP, 0, 0, 0),
            step(LOAD, 0, 0, 16),
            step(MASK, 0, 0, 3),
            step(JUMP_IF_EQUAL, 0, 1, 2),
            KILL,
            ALLOW,
        ];
        let smaller = shrink(program);
        let expected = [
            step(LOAD, 0, 0, 16),
            step(MASK, 0, 0, 3),
            step(JUMP_IF_EQUAL, 1, 0, 1),
            step(JUMP_IF_EQUAL, 0, 1, 2),
            KILL,
            ALLOW,
        ];
        assert_eq!(fields(&smaller), fields(&expected));
    }

    #[test]
    fn what_is_not_understood_stays() {
        // BPF_ALU | BPF_XOR | BPF_K.
        let program = vec![step(LOAD, 0, 0, 16), step(0xa4, 0, 0, 1), ALLOW];
        assert_eq!(fields(&shrink(program.clone())), fields(&program));
        let past_the_end = vec![step(JUMP_IF_EQUAL, 9, 0, 1), ALLOW];
        assert_eq!(fields(&shrink(past_the_end.clone())), fields(&past_the_end));
    }

    /// A small generator (Marsaglia's xorshift), so that a failure can be repeated.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % 0xffff_ffff).unwrap() % limit
        }
    }

    #[test]
    fn programs_of_chance_answer_the_same() {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        for _ in 0..3_000 {
            let length = 4 + chance.below(400);
            let mut program = vec![step(LOAD, 0, 0, 0)];
            while program.len() < length {
                let left = length - program.len();
                let mut near = || u8::try_from(chance.below(left.min(255))).unwrap();
                let (yes, no) = (near(), near());
                let value = u32::try_from(chance.below(6)).unwrap();
                program.push(match chance.below(8) {
                    0 => step(LOAD, 0, 0, [0, 16, 24, 32][chance.below(4)]),
                    1 => step(MASK, 0, 0, [1, 3, 6][chance.below(3)]),
                    2 => step(JUMP, 0, 0, yes.into()),
                    3 => step(RETURN, 0, 0, value),
                    4 => step(JUMP_IF_AT_LEAST, yes, no, value),
                    5 => step(JUMP_IF_ANY_BIT, yes, no, value),
                    _ => step(JUMP_IF_EQUAL, yes, no, value),
                });
            }
            program.push(ALLOW);
            let smaller = shrink(program.clone());
            assert!(smaller.len() <= program.len());
            for _ in 0..40 {
                let number = u32::try_from(chance.below(6)).unwrap();
                let arguments = [(); 3].map(|()| u32::try_from(chance.below(8)).unwrap());
                assert_eq!(
                    answer_each(&smaller, number, arguments),
                    answer_each(&program, number, arguments),
                    "{:?}",
                    fields(&program)
                );
            }
        }
    }
}
