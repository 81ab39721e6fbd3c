//! Everything of the fork engine that knows the processor: registers, signal frames, and the player.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{
    Registers, SYSCALL, XSTATE_NOTE, clone_thread, frame, frame_bytes, mmap_call, player,
    signal_mask_bytes,
};

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the fork engine has been written for x86-64 only");
