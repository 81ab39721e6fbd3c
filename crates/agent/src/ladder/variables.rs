//! Variables that a runtime reads once, when it starts: a zygote has started already, so functions that
//! set one of them boot. They may have templates all the same.

use pilotlight_model::function::{FunctionSpec, Runtime};

/// Read by the dynamic loader, the C library or the platform, whatever the runtime. A `*` at the end stands
/// for anything.
const ALL: &[&str] = &[
    "AWS_LAMBDA_EXEC_WRAPPER",
    "GLIBC_TUNABLES",
    "LANG",
    "LC_*",
    "LD_*",
    "MALLOC_*",
    "OPENSSL_CONF",
];
const PYTHON: &[&str] = &["PYTHON*"];
/// Read when the module path is made, which a zygote does only once it is assigned.
const PYTHON_LATE: &[&str] = &["PYTHONPATH"];
const NODE: &[&str] = &[
    "NODE_DEBUG*",
    "NODE_DISABLE_*",
    "NODE_EXTRA_CA_CERTS",
    "NODE_ICU_DATA",
    "NODE_NO_WARNINGS",
    "NODE_OPTIONS",
    "NODE_PENDING_DEPRECATION",
    "NODE_PRESERVE_SYMLINKS*",
    "NODE_REPL_*",
    "NODE_V8_COVERAGE",
    "SSL_CERT_*",
    "TZ",
    "UV_*",
];
const JAVA: &[&str] = &["CLASSPATH", "JAVA_*", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// Whether the runtime's zygote can become an instance of that function.
pub(super) fn suits(spec: &FunctionSpec) -> bool {
    let (early, late) = of(spec.runtime);
    spec.environment.keys().all(|name| {
        let is = |pattern: &&str| matches(pattern, name);
        late.iter().any(is) || !ALL.iter().chain(early).any(is)
    })
}

/// By the runtime's family, whichever its version.
fn of(runtime: Runtime) -> (&'static [&'static str], &'static [&'static str]) {
    let name = runtime.as_str();
    if name.starts_with("python") {
        (PYTHON, PYTHON_LATE)
    } else if name.starts_with("nodejs") {
        (NODE, &[])
    } else if name.starts_with("java") {
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
        let with = |name: &str| {
            let mut spec = crate::tests::spec();
            spec.environment = [(name.to_owned(), "1".to_owned())].into();
            suits(&spec)
        };
        for fine in ["COLOUR", "PYTHONPATH", "JAVA_TOOL_OPTIONS", "LANGUAGE"] {
            assert!(with(fine), "{fine}");
        }
        for early in [
            "PYTHONHASHSEED",
            "LD_PRELOAD",
            "LC_ALL",
            "AWS_LAMBDA_EXEC_WRAPPER",
        ] {
            assert!(!with(early), "{early}");
        }
    }
}
