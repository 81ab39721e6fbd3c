//! Compiles verdicts per system call number to classic BPF.

use crate::sys::seccomp::Instruction;

/// A program that the kernel takes.
pub(crate) type Program = Vec<Instruction>;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Allow,
    /// It fails with that error.
    Errno(i32),
    /// The rule of that index looks at the arguments.
    Rule(usize),
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `AUDIT_ARCH_*` of linux/audit.h: calls by another convention have other numbers.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;

/// The verdicts by number, a verdict for all numbers beyond, and the code of each rule. Numbers of x86-64's x32
/// convention have bit 30 set and so are beyond.
pub(super) fn compile(verdicts: &[Verdict], beyond: Verdict, rules: &[Program]) -> Program {
    let mut segments: Vec<(u32, Verdict)> = Vec::new();
    for (number, verdict) in (0u32..).zip(verdicts.iter().copied().chain([beyond])) {
        if segments.last().is_none_or(|(_, last)| *last != verdict) {
            segments.push((number, verdict));
        }
    }
    let mut program = vec![
        load(ARCHITECTURE),
        if_equal(NATIVE, 1, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
    ];
    program.extend(search(&segments, rules));
    program
}

/// Jumps to the segment that the number is in.
fn search(segments: &[(u32, Verdict)], rules: &[Program]) -> Program {
    if let [(_, verdict)] = segments {
        return match verdict {
            Verdict::Allow => allow(),
            Verdict::Errno(errno) => fail(*errno),
            Verdict::Rule(index) => rules[*index].clone(),
        };
    }
    let (low, high) = segments.split_at(segments.len() / 2);
    let (low, first_high) = (search(low, rules), high[0].0);
    let at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let mut program = match u8::try_from(low.len()) {
        Ok(distance) => vec![jump(at_least, first_high, distance, 0)],
        // Conditional jumps reach 255 instructions.
        Err(_) => vec![
            jump(at_least, first_high, 0, 1),
            instruction(
                libc::BPF_JMP | libc::BPF_JA,
                u32::try_from(low.len()).expect("programs are short"),
            ),
        ],
    };
    program.extend(low);
    program.extend(search(high, rules));
    program
}

/// Every bit of an argument counts.
pub(super) const ANY_BIT: u32 = u32::MAX;

/// Goes on with the program beside the value that the argument has in those bits, or else with `otherwise`. Each must end
/// with a verdict.
pub(super) fn matching(
    argument: u32,
    bits: u32,
    cases: &[(u32, Program)],
    otherwise: Program,
) -> Program {
    let mut program = vec![load_argument(argument)];
    if bits != ANY_BIT {
        program.push(instruction(
            libc::BPF_ALU | libc::BPF_AND | libc::BPF_K,
            bits,
        ));
    }
    for (value, then) in cases {
        let distance = u8::try_from(then.len()).expect("rules are short");
        program.push(if_equal(*value, 0, distance));
        program.extend_from_slice(then);
    }
    program.extend(otherwise);
    program
}

/// Loads the low half of an argument: all that the kernel looks at where an argument is an int.
pub(super) fn load_argument(index: u32) -> Instruction {
    // Little-endian, like both architectures.
    load(ARGUMENTS + 8 * index)
}

/// Loads the other half of an argument.
pub(super) fn load_high_half(index: u32) -> Instruction {
    load(ARGUMENTS + 8 * index + 4)
}

/// Skips so many instructions, depending on whether the loaded word has any of those bits.
pub(super) fn if_any_bit(bits: u32, then: u8, otherwise: u8) -> Instruction {
    jump(
        libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K,
        bits,
        then,
        otherwise,
    )
}

/// Lets the call through.
pub(super) fn allow() -> Program {
    vec![instruction(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    )]
}

/// Fails the call.
pub(super) fn fail(errno: i32) -> Program {
    let errno = u32::try_from(errno).expect("error numbers are positive");
    vec![instruction(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ERRNO | errno,
    )]
}

pub(super) fn if_equal(word: u32, then: u8, otherwise: u8) -> Instruction {
    jump(
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        word,
        then,
        otherwise,
    )
}

fn load(offset: u32) -> Instruction {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn instruction(code: u32, operand: u32) -> Instruction {
    jump(code, operand, 0, 0)
}

fn jump(code: u32, operand: u32, then: u8, otherwise: u8) -> Instruction {
    Instruction {
        code: u16::try_from(code).expect("codes are short"),
        jt: then,
        jf: otherwise,
        k: operand,
    }
}
