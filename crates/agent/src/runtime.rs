//! What a node must know about a runtime to start it.

use std::collections::BTreeMap;

use pilotlight_model::function::{FunctionSpec, Runtime};
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
    /// As `INIT_START` shows it: `python:3.11.v1`.
    pub version_label: String,
}

/// In a program's arguments, stands for the memory that it may use.
const MEMORY: &str = "{memory_mb}";
/// Variables that a process reads when it starts, or its libraries do, before it knows its function.
const READ_AT_START: [&str; 3] = ["AWS_LAMBDA_EXEC_WRAPPER", "GLIBC_TUNABLES", "LANG"];
/// How the names of others begin.
const READ_AT_START_PREFIXES: [&str; 3] = ["LC_", "LD_", "MALLOC_"];
/// Those that the Java virtual machine reads.
const READ_BY_JAVA: [&str; 4] = [
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
];

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

    /// Whether a fork of this runtime's zygote can become that function: not where the function sets a
    /// variable that acts on the start of a process, which in a fork has been.
    pub fn zygote_serves(&self, spec: &FunctionSpec) -> bool {
        !spec.environment.keys().any(|name| {
            READ_AT_START.contains(&name.as_str())
                || READ_AT_START_PREFIXES
                    .iter()
                    .any(|prefix| name.starts_with(prefix))
                || self.runtime == Runtime::Java17 && READ_BY_JAVA.contains(&name.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{image, spec};

    #[test]
    fn a_program_is_told_its_memory() {
        let java = RuntimeImage {
            argv: vec!["/bin/java".into(), "-XX:MaxRAM={memory_mb}m".into()],
            ..image(Runtime::Java17)
        };
        assert_eq!(java.argv_with(512), ["/bin/java", "-XX:MaxRAM=512m"]);
        assert_eq!(java.zygote_argv(), ["/bin/java", "-XX:MaxRAM=10240m"]);
    }

    #[test]
    fn what_acts_on_a_start_needs_one() {
        let serves = |runtime, name: &str| {
            let mut spec = spec();
            spec.environment.insert(name.to_owned(), "x".to_owned());
            image(runtime).zygote_serves(&spec)
        };
        assert!(serves(Runtime::Java17, "STAGE"));
        assert!(!serves(Runtime::Java17, "JAVA_TOOL_OPTIONS"));
        assert!(serves(Runtime::Python311, "JAVA_TOOL_OPTIONS"));
        for name in ["AWS_LAMBDA_EXEC_WRAPPER", "LD_PRELOAD", "LC_ALL"] {
            assert!(!serves(Runtime::Python311, name), "{name}");
        }
    }
}
