//! Variables that a runtime reads once, when it starts: a zygote has started already, so functions that
//! set one of them boot. They may have templates all the same.

use pilotlight_model::function::FunctionSpec;

/// Read by the dynamic linker, the C library or the platform, whatever the runtime. A `*` at the end stands
/// for anything.
const ALL: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "GLIBC_TUNABLES",
    "LD_*",
    "MALLOC_*",
];
const PYTHON: &[&str] = &["PYTHON*"];
/// Applied in the fork, read when they are used, or of no meaning here.
const PYTHON_LATE: &[&str] = &[
    "PYTHONASYNCIODEBUG",
    "PYTHONBREAKPOINT",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "PYTHONSTARTUP",
    "PYTHONUNBUFFERED",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
];
const NODE: &[&str] = &[
    "LANG",
    "LANGUAGE",
    "LC_*",
    "NODE_*",
    "OPENSSL_CONF",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UV_USE_IO_URING",
];
const NODE_LATE: &[&str] = &[
    "NODE_CONFIG*",
    "NODE_ENV",
    "NODE_PATH",
    "NODE_TLS_REJECT_UNAUTHORIZED",
];
const JAVA: &[&str] = &[
    "CLASSPATH",
    "JAVA_OPTIONS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LANG",
    "LC_*",
    "_JAVA_OPTIONS",
];

/// Whether the runtime's zygote can become an instance of that function.
pub(super) fn suits(spec: &FunctionSpec) -> bool {
    allows(spec.runtime.image().as_str(), spec.environment.keys())
}

/// The same for a runtime of that name.
fn allows<'a>(runtime: &str, names: impl IntoIterator<Item = &'a String>) -> bool {
    let (early, late) = of(runtime);
    names.into_iter().all(|name| {
        let is = |pattern: &&str| matches(pattern, name);
        late.iter().any(is) || !ALL.iter().chain(early).any(is)
    })
}

/// What counts as early, and what of it does not, by the runtime's family, whichever its version.
fn of(runtime: &str) -> (&'static [&'static str], &'static [&'static str]) {
    if runtime.starts_with("python") {
        (PYTHON, PYTHON_LATE)
    } else if runtime.starts_with("nodejs") {
        (NODE, NODE_LATE)
    } else if runtime.starts_with("java") {
        (JAVA, &[])
    } else {
        (&[], &[])
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_reads_at_its_start_is_told_apart() {
        let with = |runtime, name: &str| allows(runtime, [&name.to_owned()]);
        for (runtime, name) in [
            ("python3.11", "COLOUR"),
            ("python3.11", "PYTHONPATH"),
            ("python3.11", "JAVA_TOOL_OPTIONS"),
            ("python3.11", "LANG"),
            ("nodejs20.x", "NODE_ENV"),
            ("nodejs20.x", "NODE_CONFIG_DIR"),
            ("nodejs20.x", "PYTHONHASHSEED"),
            ("nodejs20.x", "TZ"),
            ("java17", "JAVA_HOME"),
            ("java17", "TZ"),
            ("provided.al2023", "LANG"),
        ] {
            assert!(with(runtime, name), "{name} of {runtime}");
        }
        for (runtime, name) in [
            ("python3.11", "PYTHONHASHSEED"),
            ("python3.11", "LD_PRELOAD"),
            ("python3.11", "AWS_LAMBDA_EXEC_WRAPPER"),
            ("nodejs20.x", "NODE_OPTIONS"),
            ("nodejs20.x", "LC_ALL"),
            ("java17", "JAVA_TOOL_OPTIONS"),
            ("java17", "LC_ALL"),
        ] {
            assert!(!with(runtime, name), "{name} of {runtime}");
        }
    }
}
