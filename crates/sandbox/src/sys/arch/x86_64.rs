//! x86-64. Sources: "System V ABI, AMD64 supplement" (system calls, C calls), the kernel's
//! `arch/x86/include/uapi/asm/sigcontext.h` (signal frames), Intel SDM volume 1 chapter 13 (XSAVE).

use std::slice;

use crate::template::tape::{CALL, Check, JUMP, Load, OP_BYTES, Op, SIGNAL_RETURN, STATUS, call};
use crate::template::threads::FutexWait;

/// The instruction that enters the kernel.
pub(crate) const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// `NT_X86_XSTATE`: the register set with all that is not a general register.
pub(crate) const XSTATE_NOTE: i32 = 0x202;

/// Of a signal mask, as the kernel has it.
pub(crate) const fn signal_mask_bytes() -> usize {
    8
}

// How an interrupted call asks to be made again (include/linux/errno.h).
const ERESTARTSYS: i64 = -512;
const ERESTARTNOINTR: i64 = -513;
const ERESTARTNOHAND: i64 = -514;
const ERESTART_RESTARTBLOCK: i64 = -516;
const EINTR: i64 = -(libc::EINTR as i64);

/// The general registers of a stopped thread.
#[derive(Clone, Copy)]
pub(crate) struct Registers(pub(crate) libc::user_regs_struct);

impl Registers {
    /// The number of the system call that the thread is in, if it is in one.
    pub(crate) fn call(&self) -> Option<i64> {
        let number = self.0.orig_rax as i64;
        (number >= 0).then_some(number)
    }

    /// Where the thread goes on: behind the instruction that entered the kernel.
    pub(crate) fn instruction(&self) -> u64 {
        self.0.rip
    }

    /// The thread's pointer to its thread-local storage.
    pub(crate) fn thread_pointer(&self) -> u64 {
        self.0.fs_base
    }

    /// The thread's second base address, which few programs use, if it is not what the other thread has.
    pub(crate) fn second_base(&self, other: &Registers) -> Option<Op> {
        const ARCH_SET_GS: i32 = 0x1001;
        let base = self.0.gs_base;
        (base != other.0.gs_base).then(|| call!(libc::SYS_arch_prctl, ARCH_SET_GS, base))
    }

    /// What the call came to.
    pub(crate) fn result(&self) -> i64 {
        self.0.rax as i64
    }

    /// Whether it waited in the call until it was stopped: the kernel would have it make the call again, or tells it that
    /// it was interrupted.
    pub(crate) fn was_waiting(&self) -> bool {
        self.call().is_some()
            && matches!(
                self.result(),
                ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND | ERESTART_RESTARTBLOCK | EINTR
            )
    }

    /// As the thread is to go on: it makes its call again, as the kernel would have it. Calls that the kernel ends when
    /// they are interrupted are made again too where they wait without an end, so that no program sees an interruption
    /// that it had none of; where they wait for a time, which would begin anew, they end.
    pub(crate) fn resumed(mut self) -> Registers {
        let again = match self.result() {
            EINTR => self.waits_without_end(),
            _ => true,
        };
        if self.was_waiting() && again {
            self.0.rax = self.0.orig_rax;
            self.0.rip -= SYSCALL.len() as u64;
        }
        // No call is under way any more.
        self.0.orig_rax = u64::MAX;
        // Nobody single-steps it.
        self.0.eflags &= !0x100;
        self
    }

    /// For what it waits of another thread, if it does, for whatever time. Not where it takes only some of the wakes.
    pub(crate) fn futex_wait(&self) -> Option<FutexWait> {
        let operation = self.0.rsi as i32 & !libc::FUTEX_CLOCK_REALTIME;
        let any = self.0.r9 as u32 == u32::MAX;
        let waits = match operation & !libc::FUTEX_PRIVATE_FLAG {
            libc::FUTEX_WAIT => true,
            libc::FUTEX_WAIT_BITSET => any,
            _ => false,
        };
        let futex = self.was_waiting() && self.call() == Some(libc::SYS_futex);
        (futex && waits).then_some(FutexWait {
            address: self.0.rdi,
            value: self.0.rdx as u32,
            private: operation & libc::FUTEX_PRIVATE_FLAG != 0,
        })
    }

    fn waits_without_end(&self) -> bool {
        match self.call() {
            Some(libc::SYS_epoll_wait | libc::SYS_epoll_pwait) => (self.0.r10 as i32) < 0,
            Some(libc::SYS_epoll_pwait2) => self.0.r10 == 0,
            Some(libc::SYS_rt_sigtimedwait) => self.0.rdx == 0,
            _ => false,
        }
    }

    /// The same thread about to make that call, at an instruction that enters the kernel.
    pub(crate) fn calling(mut self, at: u64, number: i64, arguments: [u64; 6]) -> Registers {
        self.0.rip = at;
        self.0.rax = number as u64;
        self.0.orig_rax = u64::MAX;
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        self.0.rdi = rdi;
        self.0.rsi = rsi;
        self.0.rdx = rdx;
        self.0.r10 = r10;
        self.0.r8 = r8;
        self.0.r9 = r9;
        self
    }

    /// The same thread about to play a tape.
    pub(crate) fn playing(mut self, player: u64, tape: u64, status: u64) -> Registers {
        self.0.rip = player;
        self.0.rbx = tape;
        self.0.r12 = status;
        self.0.rax = 0;
        self.0.orig_rax = u64::MAX;
        self.0.eflags &= !0x500;
        self
    }
}

/// Arguments of `mmap` for new private memory, anywhere.
pub(crate) fn mmap_call(bytes: u64) -> (i64, [u64; 6]) {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    (libc::SYS_mmap, [0, bytes, protection, flags, u64::MAX, 0])
}

/// The call that makes a thread with that storage, whose end clears the word at `clear_tid`. It goes on where its maker is.
pub(crate) fn clone_thread(flags: i32, clear_tid: u64, storage: u64) -> Op {
    call!(libc::SYS_clone, flags, 0, 0, clear_tid, storage)
}

/// What `rt_sigreturn` takes a thread's state from: a return address, `struct ucontext`, and the extended state, which has
/// to begin at a multiple of 64.
const EXTENDED_AT: usize = 0x200;
/// `FP_XSTATE_MAGIC1` and where it stands in the extended state's software bytes.
const MAGIC1: u32 = 0x4650_5853;
const MAGIC1_AT: usize = 464;
/// `FP_XSTATE_MAGIC2`, which stands at the extended state's end.
const MAGIC2: u32 = 0x4650_5845;
/// UC_FP_XSTATE, UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS.
const FRAME_FLAGS: u64 = 1 | 2 | 4;
const USER_CODE_SEGMENT: u64 = 0x33;
const USER_STACK_SEGMENT: u64 = 0x2b;

/// Room for a frame with that much extended state.
pub(crate) fn frame_bytes(extended: usize) -> usize {
    (EXTENDED_AT + extended + size_of_val(&MAGIC2)).next_multiple_of(64)
}

/// The frame for those registers, and where in it the stack pointer stands for `rt_sigreturn`. It will lie at `address`, a
/// multiple of 64. `stack` is the alternate signal stack as `sigaltstack` tells it.
pub(crate) fn frame(
    address: u64,
    registers: &Registers,
    extended: &[u8],
    mask: u64,
    stack: [u64; 3],
) -> (Vec<u8>, u64) {
    let r = &registers.0;
    let segments = USER_CODE_SEGMENT | USER_STACK_SEGMENT << 48;
    let mut words = vec![0, FRAME_FLAGS, 0];
    words.extend(stack);
    words.extend([
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx,
        r.rax, r.rcx, r.rsp, r.rip, r.eflags, segments, 0, 0, 0, 0,
    ]);
    words.push(address + EXTENDED_AT as u64);
    words.extend([0; 8]);
    words.push(mask);
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(EXTENDED_AT, 0);
    let mut extended = extended.to_vec();
    // ptrace(2) shows which components there are where the software bytes are to be.
    let size = extended.len() as u32;
    let components = extended
        .get(MAGIC1_AT..MAGIC1_AT + 8)
        .map_or([0; 8], |bytes| bytes.try_into().unwrap_or([0; 8]));
    if extended.len() >= MAGIC1_AT + 48 {
        extended[MAGIC1_AT..MAGIC1_AT + 48].fill(0);
        extended[MAGIC1_AT..][..4].copy_from_slice(&MAGIC1.to_le_bytes());
        extended[MAGIC1_AT + 4..][..4].copy_from_slice(&(size + 4).to_le_bytes());
        extended[MAGIC1_AT + 8..][..8].copy_from_slice(&components);
        extended[MAGIC1_AT + 16..][..4].copy_from_slice(&size.to_le_bytes());
    }
    bytes.extend(extended);
    bytes.extend(MAGIC2.to_le_bytes());
    bytes.resize(frame_bytes(size as usize), 0);
    // Behind the return address, which nobody returns to.
    (bytes, address + 8)
}

// The player. It plays a tape of operations (see `template::tape`) with nothing but registers, so that it runs in any
// thread of any process, wherever its bytes lie. `rbx` is the operation, `r12` the status block.
std::arch::global_asm!(
    ".pushsection .text.pilotlight_player,\"ax\",@progbits",
    ".balign 16",
    ".globl pilotlight_player_begin",
    ".globl pilotlight_player_end",
    "pilotlight_player_begin:",
    "20:",
    // An argument is itself, or what stands in memory where it points: eight bytes, or four.
    ".macro pilotlight_load index, whole, half",
    "mov \\whole, [rbx + {arguments} + 8 * \\index]",
    "movzx eax, byte ptr [rbx + {loads} + \\index]",
    "test eax, eax",
    "jz 22f",
    "cmp eax, {load_8}",
    "je 21f",
    "mov \\half, dword ptr [\\whole]",
    "jmp 22f",
    "21: mov \\whole, qword ptr [\\whole]",
    "22:",
    ".endm",
    "pilotlight_load 0, rdi, edi",
    "pilotlight_load 1, rsi, esi",
    "pilotlight_load 2, rdx, edx",
    "pilotlight_load 3, r10, r10d",
    "pilotlight_load 4, r8, r8d",
    "pilotlight_load 5, r9, r9d",
    "mov rax, [rbx]",
    "cmp rax, {jump}",
    "je 30f",
    "cmp rax, {status}",
    "je 31f",
    "cmp rax, {signal_return}",
    "je 32f",
    "cmp rax, {call}",
    "je 33f",
    "syscall",
    // Where the call has made a thread or process, that plays a tape of its own.
    "23: mov rcx, [rbx + {child}]",
    "test rcx, rcx",
    "jz 25f",
    "test rax, rax",
    "jnz 25f",
    "cmp qword ptr [rbx + {child_load}], 0",
    "je 24f",
    "mov rcx, [rcx]",
    "24: mov rbx, rcx",
    "jmp 20b",
    "25: mov rcx, [rbx + {store}]",
    "test rcx, rcx",
    "jz 26f",
    "mov [rcx], rax",
    "26: mov rcx, [rbx + {check}]",
    "cmp rcx, {check_none}",
    "je 29f",
    "cmp rcx, {check_equal}",
    "je 27f",
    "cmp rcx, {check_positive}",
    "je 28f",
    "cmp rax, -4095",
    "jae 34f",
    "jmp 29f",
    "27: cmp rax, [rbx + {expected}]",
    "je 29f",
    "jmp 34f",
    "28: test rax, rax",
    "jle 34f",
    "29: add rbx, {op_bytes}",
    "jmp 20b",
    // Goes on with another tape.
    "30: mov rbx, rdi",
    "jmp 20b",
    // Takes another status block.
    "31: mov r12, rdi",
    "jmp 29b",
    // Goes back to what the thread did.
    "32: mov rsp, rdi",
    "mov eax, 15",
    "syscall",
    "ud2",
    // Calls a function of the program's, without arguments.
    "33: mov rsp, rdi",
    "cld",
    "call rsi",
    "jmp 23b",
    // Leaves what failed in the status block, and goes on with the tape that is named there.
    "34: mov [r12], rax",
    "mov [r12 + 8], rbx",
    "mov rbx, [r12 + 16]",
    "jmp 20b",
    "pilotlight_player_end:",
    ".popsection",
    arguments = const Op::ARGUMENTS_AT,
    loads = const Op::LOADS_AT,
    store = const Op::STORE_AT,
    check = const Op::CHECK_AT,
    expected = const Op::EXPECTED_AT,
    child = const Op::CHILD_AT,
    child_load = const Op::CHILD_LOAD_AT,
    op_bytes = const OP_BYTES,
    load_8 = const Load::Eight as u64,
    jump = const JUMP,
    status = const STATUS,
    signal_return = const SIGNAL_RETURN,
    call = const CALL,
    check_none = const Check::None as u64,
    check_equal = const Check::Equal as u64,
    check_positive = const Check::Positive as u64,
);

unsafe extern "C" {
    static pilotlight_player_begin: u8;
    static pilotlight_player_end: u8;
}

/// The player's instructions.
pub(crate) fn player() -> &'static [u8] {
    let (begin, end) = (
        &raw const pilotlight_player_begin,
        &raw const pilotlight_player_end,
    );
    // SAFETY: both are labels in one section of this program, with nothing but the player's bytes between them; these are
    // never written.
    unsafe { slice::from_raw_parts(begin, end.addr() - begin.addr()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped_in(call: i64, result: i64, timeout: i32) -> Registers {
        // SAFETY: all fields are integers.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        registers.orig_rax = call as u64;
        registers.rax = result as u64;
        registers.rip = 0x1000;
        registers.r10 = timeout as u32 as u64;
        Registers(registers)
    }

    #[test]
    fn a_call_is_made_again_unless_its_time_would_begin_anew() {
        let again = |registers: Registers| registers.resumed().0.rip == 0x1000 - 2;
        assert!(again(stopped_in(libc::SYS_read, ERESTARTSYS, 0)));
        assert!(again(stopped_in(libc::SYS_futex, ERESTART_RESTARTBLOCK, 0)));
        assert!(again(stopped_in(libc::SYS_epoll_wait, EINTR, -1)));
        assert!(!again(stopped_in(libc::SYS_epoll_wait, EINTR, 50)));
        assert!(!again(stopped_in(libc::SYS_read, 17, 0)));
        assert!(!stopped_in(libc::SYS_read, 17, 0).was_waiting());
        assert!(!stopped_in(-1, ERESTARTSYS, 0).was_waiting());
    }

    #[test]
    fn who_waits_for_another_thread_is_known_by_its_call() {
        let waits = |operation: i32, bits: u32| {
            let mut registers = stopped_in(libc::SYS_futex, ERESTARTSYS, 0);
            registers.0.rsi = operation as u64;
            registers.0.rdi = 0x7000;
            registers.0.rdx = 5;
            registers.0.r9 = bits.into();
            registers.futex_wait()
        };
        let wait = FutexWait {
            address: 0x7000,
            value: 5,
            private: true,
        };
        let private = libc::FUTEX_PRIVATE_FLAG;
        assert_eq!(waits(libc::FUTEX_WAIT | private, 0), Some(wait));
        let shared = FutexWait {
            private: false,
            ..wait
        };
        assert_eq!(waits(libc::FUTEX_WAIT_BITSET, u32::MAX), Some(shared));
        assert_eq!(waits(libc::FUTEX_WAIT_BITSET, 1), None);
        assert_eq!(waits(libc::FUTEX_LOCK_PI, 0), None);
        let other = |call, result| stopped_in(call, result, 0).futex_wait();
        assert_eq!(other(libc::SYS_read, ERESTARTSYS), None);
        assert_eq!(other(libc::SYS_futex, 0), None);
    }

    #[test]
    fn a_frame_is_aligned_for_its_extended_state() {
        let (bytes, stack) = frame(0x10_000, &stopped_in(0, 0, 0), &[0; 2696], 0, [0; 3]);
        assert_eq!(stack, 0x10_008);
        assert_eq!(bytes.len(), frame_bytes(2696));
        assert_eq!(
            &bytes[EXTENDED_AT + MAGIC1_AT..][..4],
            &MAGIC1.to_le_bytes()
        );
        assert_eq!(&bytes[EXTENDED_AT + 2696..][..4], &MAGIC2.to_le_bytes());
    }
}
