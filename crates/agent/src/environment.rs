//! The variables of an instance: the platform's, the runtime image's, and the user's.
//! Source: "Defined runtime environment variables" of the AWS Lambda developer guide.

use std::collections::BTreeMap;
use std::ffi::CString;

use pilotlight_model::function::{FunctionSpec, Runtime};

use crate::runtime::RuntimeImage;

/// Where the Runtime API listens inside every sandbox.
pub(crate) const RUNTIME_API: &str = "127.0.0.1:9001";
/// Descriptor under which a runtime that can use it finds a connection to the Runtime API.
pub(crate) const RUNTIME_FD: &str = "3";

/// Every variable of an instance as `NAME=value`. A user's variable wins over the runtime image's, and
/// the platform's own win over both: those are reserved. Variables that no process could be given
/// (a NUL inside, an empty name) are left out.
pub(crate) fn of_instance(
    spec: &FunctionSpec,
    image: &RuntimeImage,
    stream: &str,
    request_socket: bool,
) -> Vec<CString> {
    let mut all: BTreeMap<&str, String> = overridable().collect();
    all.extend(
        image
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    all.extend(
        spec.environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    all.extend(reserved(spec, stream));
    if image.runtime != Runtime::ProvidedAl2023 {
        // Lambda does not define it for runtimes that the user brings along.
        let name = format!("AWS_Lambda_{}", image.runtime);
        all.insert("AWS_EXECUTION_ENV", name);
    }
    if request_socket {
        all.insert("_PILOTLIGHT_RUNTIME_FD", RUNTIME_FD.to_owned());
    }
    c_strings(all)
}

/// The variables of a runtime image's compile step.
pub(crate) fn of_compiler(image: &RuntimeImage) -> Vec<CString> {
    let mut all: BTreeMap<&str, String> = overridable().collect();
    all.extend(
        image
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    c_strings(all)
}

fn overridable<'a>() -> impl Iterator<Item = (&'a str, String)> {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("LD_LIBRARY_PATH", "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"),
        ("LANG", "C.UTF-8"),
        ("TZ", ":UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
}

fn reserved<'a>(
    spec: &FunctionSpec,
    stream: &str,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    let key = &spec.key;
    // Software development kits sign every request and refuse to start without credentials; these
    // name the account, and are different for every instance.
    let secret = uuid::Uuid::new_v4().simple().to_string();
    [
        ("_HANDLER", spec.handler.clone()),
        ("AWS_ACCESS_KEY_ID", key.account.to_string()),
        ("AWS_DEFAULT_REGION", key.region.to_string()),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            spec.memory_mb.to_string(),
        ),
        ("AWS_LAMBDA_FUNCTION_NAME", key.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", key.version.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", spec.log_group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", RUNTIME_API.to_owned()),
        ("AWS_REGION", key.region.to_string()),
        ("AWS_SECRET_ACCESS_KEY", secret.clone()),
        ("AWS_SESSION_TOKEN", secret),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
    ]
    .into_iter()
}

fn c_strings(all: BTreeMap<&str, String>) -> Vec<CString> {
    all.into_iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains('='))
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}
