//! Tapes: what a frozen process and its forks do, as data. A tape is a row of operations, mostly system calls; the player
//! (`sys::arch`) plays it with nothing but registers, without a stack, so that it can run in any thread of any process. What
//! is decided, is decided here, before; the code that runs in a stranger's process is a hundred instructions.

/// Makes no call: goes on with the tape at the first argument.
pub(crate) const JUMP: i64 = -1;
/// Makes no call: the status block is at the first argument from now on.
pub(crate) const STATUS: i64 = -2;
/// Makes no call: returns into the signal frame at the first argument, for good.
pub(crate) const SIGNAL_RETURN: i64 = -3;
/// Makes no system call: calls the function at the second argument, with the first as its stack.
pub(crate) const CALL: i64 = -4;

/// Length of an operation.
pub(crate) const OP_BYTES: usize = 104;

/// How the player takes an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Load {
    /// It is the value.
    Value = 0,
    /// It is the address of eight bytes.
    Eight = 1,
    /// It is the address of four bytes.
    Four = 2,
}

/// An argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Argument {
    value: u64,
    load: Load,
}

impl Argument {
    /// What stands at that address when the operation is played, eight bytes.
    pub(crate) fn eight_at(address: u64) -> Argument {
        Argument {
            value: address,
            load: Load::Eight,
        }
    }

    /// What stands at that address when the operation is played, four bytes.
    pub(crate) fn four_at(address: u64) -> Argument {
        Argument {
            value: address,
            load: Load::Four,
        }
    }
}

macro_rules! argument_from {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Argument {
            fn from(value: $kind) -> Argument {
                Argument { value: value as i64 as u64, load: Load::Value }
            }
        })*
    };
}
argument_from!(u64, i64, u32, i32, usize);

/// Which results are a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Check {
    /// Errors.
    Error = 0,
    /// None.
    None = 1,
    /// All but the expected one.
    Equal = 2,
    /// Errors and zero.
    Positive = 3,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Op {
    call: i64,
    arguments: Vec<Argument>,
    check: Check,
    expected: u64,
    /// Where the result is left, if anywhere.
    store: u64,
    child: Option<Argument>,
}

impl Op {
    pub(crate) const ARGUMENTS_AT: usize = 8;
    pub(crate) const LOADS_AT: usize = 56;
    pub(crate) const STORE_AT: usize = 64;
    pub(crate) const CHECK_AT: usize = 72;
    pub(crate) const EXPECTED_AT: usize = 80;
    pub(crate) const CHILD_AT: usize = 88;
    pub(crate) const CHILD_LOAD_AT: usize = 96;

    /// A system call, or one of the operations above, with up to six arguments.
    pub(crate) fn new<const N: usize>(call: i64, arguments: [Argument; N]) -> Op {
        const { assert!(N <= 6) };
        Op {
            call,
            arguments: arguments.to_vec(),
            check: Check::Error,
            expected: 0,
            store: 0,
            child: None,
        }
    }

    /// Its failure does not matter.
    pub(crate) fn or_not(mut self) -> Op {
        self.check = Check::None;
        self
    }

    /// Any other result is a failure.
    pub(crate) fn must_be(mut self, result: u64) -> Op {
        self.check = Check::Equal;
        self.expected = result;
        self
    }

    /// Zero is a failure too.
    pub(crate) fn must_be_positive(mut self) -> Op {
        self.check = Check::Positive;
        self
    }

    /// Leaves the result at that address, eight bytes.
    pub(crate) fn store(mut self, address: u64) -> Op {
        self.store = address;
        self
    }

    /// The thread or process that the call makes plays that tape.
    pub(crate) fn child(mut self, tape: impl Into<Argument>) -> Op {
        self.child = Some(tape.into());
        self
    }

    fn encode(&self) -> [u8; OP_BYTES] {
        let mut bytes = [0; OP_BYTES];
        let mut put = |at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        put(0, self.call as u64);
        for (index, argument) in self.arguments.iter().enumerate() {
            put(Op::ARGUMENTS_AT + 8 * index, argument.value);
        }
        put(Op::STORE_AT, self.store);
        put(Op::CHECK_AT, self.check as u64);
        put(Op::EXPECTED_AT, self.expected);
        if let Some(child) = self.child {
            put(Op::CHILD_AT, child.value);
            put(Op::CHILD_LOAD_AT, u64::from(child.load != Load::Value));
        }
        for (index, argument) in self.arguments.iter().enumerate() {
            bytes[Op::LOADS_AT + index] = argument.load as u8;
        }
        bytes
    }
}

/// A system call with its arguments, each whatever an [`Argument`] can be made from.
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::template::tape::Op::new($number, [$($crate::template::tape::Argument::from($argument)),*])
    };
}
pub(crate) use call;

/// A row of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tape(Vec<Op>);

impl Tape {
    pub(crate) fn push(&mut self, op: Op) -> &mut Tape {
        self.0.push(op);
        self
    }

    pub(crate) fn extend(&mut self, ops: impl IntoIterator<Item = Op>) -> &mut Tape {
        self.0.extend(ops);
        self
    }

    /// How long it is in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len() * OP_BYTES
    }

    /// As the player reads it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(Op::encode).collect()
    }
}
