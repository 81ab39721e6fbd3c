//! What a node must know about a runtime to start it.

use std::collections::BTreeMap;

use pilotlight_model::Runtime;
use pilotlight_model::ids::Digest;
use pilotlight_model::limits;

/// A runtime that this node can start: its image in the store, and how to run what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeImage {
    /// Which runtime it is.
    pub runtime: Runtime,
    /// EROFS image mounted at `/`.
    pub digest: Digest,
    /// Program and arguments that start an instance; paths are inside the sandbox.
    pub argv: Vec<String>,
    /// Variables of this runtime, below the platform's own and the user's.
    pub env: BTreeMap<String, String>,
    /// Program and arguments that compile the code at `/var/task`, for runtimes that have byte code.
    pub compile: Option<Vec<String>>,
    /// Whether its bootstrap can be a zygote: started without a function, and told later which it is.
    pub zygote: bool,
    /// As `INIT_START` shows it: `python:3.11.v1`.
    pub version_label: String,
}

/// In a program's arguments, stands for the memory that it may use.
const MEMORY: &str = "{memory_mb}";
impl RuntimeImage {
    /// The program of an instance with that much memory.
    pub fn argv_with(&self, memory_mb: u32) -> Vec<String> {
        self.argv
            .iter()
            .map(|argument| argument.replace(MEMORY, &memory_mb.to_string()))
            .collect()
    }

    /// The program of a zygote. A runtime that sizes its heap when it starts gets one for the largest
    /// function: that is address space alone, and the cgroup of each fork is the limit that counts.
    pub fn zygote_argv(&self) -> Vec<String> {
        self.argv_with(limits::MEMORY_MB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::image;

    #[test]
    fn a_program_is_told_its_memory() {
        let java = RuntimeImage {
            argv: vec!["/bin/java".into(), "-XX:MaxRAM={memory_mb}m".into()],
            ..image(Runtime::Java17)
        };
        assert_eq!(java.argv_with(512), ["/bin/java", "-XX:MaxRAM=512m"]);
        assert_eq!(java.zygote_argv(), ["/bin/java", "-XX:MaxRAM=10240m"]);
    }
}
