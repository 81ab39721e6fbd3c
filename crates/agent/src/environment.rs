//! The variables of an instance: the platform's, the runtime image's, and the user's; and how a forked
//! process is told of them.
//! Source: "Defined runtime environment variables" of the AWS Lambda developer guide.

use std::collections::BTreeMap;
use std::ffi::CString;

use bytes::Bytes;
use pilotlight_model::function::FunctionSpec;
use pilotlight_model::logging::LogFormat;
use pilotlight_model::node::{Folder, INNER_DOOR};
use pilotlight_model::{Runtime, RuntimeName};

use serde_json::json;

use crate::runtime::RuntimeImage;

/// Where the Runtime API listens inside every sandbox.
pub(crate) const RUNTIME_API: &str = "127.0.0.1:9001";
/// Descriptor under which a runtime that can use it finds a connection to the Runtime API.
pub(crate) const RUNTIME_FD: &str = "3";
/// Working directory of every instance.
const WORKING_DIRECTORY: &str = "/var/task";
/// Where the layers are.
const LAYERS: &str = "/opt";
const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";
const INITIALIZATION_TYPE: &str = "AWS_LAMBDA_INITIALIZATION_TYPE";

/// `AWS_LAMBDA_INITIALIZATION_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initialization {
    /// For a request.
    OnDemand,
    /// As one of those that are provisioned.
    Provisioned,
    /// To become a template: a runtime that knows it asks whether it is a fork before it serves.
    SnapStart,
}

impl Initialization {
    /// The variable's value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Initialization::OnDemand => "on-demand",
            Initialization::Provisioned => "provisioned-concurrency",
            Initialization::SnapStart => "snap-start",
        }
    }
}

/// Whether instances have an inner door, so that their variables name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InnerDoor {
    /// They have.
    Open,
    /// There is none.
    Absent,
}

/// Every variable of an instance as `NAME=value`.
pub(crate) fn of_instance(
    spec: &FunctionSpec,
    image: &RuntimeImage,
    stream: &str,
    request_socket: bool,
    initialization: Initialization,
    door: InnerDoor,
) -> Vec<CString> {
    let all = all(spec, image, stream, request_socket, initialization, door);
    c_strings(all)
}

/// What a fork of a zygote is told: all that a booted instance would have.
pub(crate) fn assignment(
    spec: &FunctionSpec,
    image: &RuntimeImage,
    stream: &str,
    initialization: Initialization,
    door: InnerDoor,
) -> Bytes {
    let env = possible(all(spec, image, stream, true, initialization, door));
    let env: BTreeMap<_, _> = env.collect();
    json!({ "env": env, "cwd": WORKING_DIRECTORY })
        .to_string()
        .into()
}

/// What a fork of a template is told: what is its own, the template's init being snap-start's; and one that
/// nobody waits for, that it may do ahead of time what its first request would have to wait for.
pub(crate) fn restored(stream: &str, initialization: Initialization, ahead: bool) -> Bytes {
    let mut env: BTreeMap<&str, String> = credentials().into();
    env.insert(LOG_STREAM, stream.to_owned());
    env.insert(INITIALIZATION_TYPE, initialization.as_str().to_owned());
    let told = match ahead {
        true => json!({ "env": env, "spare": true }),
        false => json!({ "env": env }),
    };
    told.to_string().into()
}

/// The variables of a runtime's zygote. It knows no function.
pub(crate) fn of_zygote(image: &RuntimeImage) -> Vec<CString> {
    let mut all = of_image(image);
    all.insert("_PILOTLIGHT_ZYGOTE", "1".to_owned());
    all.insert("_PILOTLIGHT_RUNTIME_FD", RUNTIME_FD.to_owned());
    c_strings(all)
}

/// A user's variable wins over the runtime image's, and the platform's own win over both: those are
/// reserved.
fn all<'a>(
    spec: &'a FunctionSpec,
    image: &'a RuntimeImage,
    stream: &str,
    request_socket: bool,
    initialization: Initialization,
    door: InnerDoor,
) -> BTreeMap<&'a str, String> {
    let mut all = of_image(image);
    all.extend(endpoints(spec, door));
    all.extend(
        spec.environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    if let Some((name, folder)) = layer_folder(spec.runtime) {
        // Behind what the user says; the image's own folders, where they are in the variable, come after it.
        let given = spec.environment.get(name);
        let rest = all.get(name).filter(|_| given.is_none());
        let path = [given, Some(&folder), rest].into_iter().flatten();
        let path = path.map(String::as_str).collect::<Vec<_>>().join(":");
        all.insert(name, path);
    }
    all.extend(reserved(spec, stream, initialization));
    all.extend(credentials());
    if let LogFormat::Json { application, .. } = spec.log_format {
        // Lambda defines both for JSON alone: with Text, a variable of the user's is left as it is.
        all.insert("AWS_LAMBDA_LOG_FORMAT", spec.log_format.as_str().to_owned());
        all.insert("AWS_LAMBDA_LOG_LEVEL", application.to_string());
    }
    if image.runtime != Runtime::ProvidedAl2023 {
        // Lambda does not define it for runtimes that the user brings along. The name is the one that the user
        // gave: clients of AWS put it into their user agent, and what really runs, code asks its language.
        let name = format!("AWS_Lambda_{}", spec.runtime);
        all.insert("AWS_EXECUTION_ENV", name);
    }
    if request_socket {
        all.insert("_PILOTLIGHT_RUNTIME_FD", RUNTIME_FD.to_owned());
    }
    all
}

/// Where layers have what is for the version that the runtime's name says, and the variable by which it is looked
/// into. The image looks by itself for what is for its own version.
fn layer_folder(runtime: RuntimeName) -> Option<(&'static str, String)> {
    if !runtime.is_substituted() {
        return None;
    }
    let name = runtime.as_str();
    match runtime.image() {
        Runtime::Python311 => Some((
            "PYTHONPATH",
            format!("{LAYERS}/python/lib/{name}/site-packages"),
        )),
        Runtime::Nodejs20x => {
            let major = name.strip_prefix("nodejs")?.strip_suffix(".x")?;
            Some((
                "NODE_PATH",
                format!("{LAYERS}/nodejs/node{major}/node_modules"),
            ))
        }
        Runtime::Java17 | Runtime::ProvidedAl2023 => None,
    }
}

/// What is the runtime's alone. Source: "Configuring extensions", "Environment variables", of the AWS Lambda developer
/// guide.
const NOT_FOR_EXTENSIONS: [&str; 7] = [
    "_HANDLER",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    LOG_STREAM,
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "AWS_LAMBDA_EXEC_WRAPPER",
];

/// The variables of the extensions beside an instance's runtime.
pub(crate) fn of_extensions(
    spec: &FunctionSpec,
    initialization: Initialization,
    door: InnerDoor,
) -> Vec<CString> {
    let mut all: BTreeMap<&str, String> = overridable(spec.runtime.image()).collect();
    all.extend(endpoints(spec, door));
    let own = spec.environment.iter();
    all.extend(own.map(|(name, value)| (name.as_str(), value.clone())));
    all.extend(reserved(spec, "", initialization));
    all.extend(credentials());
    for name in NOT_FOR_EXTENSIONS {
        all.remove(name);
    }
    c_strings(all)
}

/// The variables of a runtime image's compile step.
pub(crate) fn of_compiler(image: &RuntimeImage, folder: Folder) -> Vec<CString> {
    let mut all = of_image(image);
    let folder = match folder {
        Folder::Task => WORKING_DIRECTORY,
        Folder::Layers => LAYERS,
    };
    all.insert("LAMBDA_TASK_ROOT", folder.to_owned());
    c_strings(all)
}

fn of_image(image: &RuntimeImage) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> = overridable(image.runtime).collect();
    let own = image.env.iter();
    all.extend(own.map(|(name, value)| (name.as_str(), value.clone())));
    all
}

/// What a user's variable may replace. A runtime of ours has a folder of its own for what it runs, and the
/// variables that the shell around it leaves behind on Lambda.
fn overridable<'a>(runtime: Runtime) -> impl Iterator<Item = (&'a str, String)> {
    const PATH: &str = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
    const LIBRARIES: &str =
        "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
    let (path, libraries, shell) = match runtime {
        Runtime::ProvidedAl2023 => (PATH.to_owned(), LIBRARIES.to_owned(), None),
        _ => (
            format!("/var/lang/bin:{PATH}"),
            format!("/var/lang/lib:{LIBRARIES}"),
            Some([("PWD", WORKING_DIRECTORY), ("SHLVL", "0")]),
        ),
    };
    let always = [
        // Without it, the X-Ray software development kits throw where nothing is traced.
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
        ("LANG", "C.UTF-8"),
        ("TZ", ":UTC"),
    ];
    let fixed = always.into_iter().chain(shell.into_iter().flatten());
    [("PATH", path), ("LD_LIBRARY_PATH", libraries)]
        .into_iter()
        .chain(fixed.map(|(name, value)| (name, value.to_owned())))
}

/// Where the clients of AWS find the services that the inner door serves. A user who names another place for them, for one
/// or for all, means it. Source: "Service-specific endpoints" of the AWS SDKs and Tools Reference Guide.
fn endpoints<'a>(
    spec: &FunctionSpec,
    door: InnerDoor,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    const SERVICES: [&str; 3] = [
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
        "AWS_ENDPOINT_URL_LAMBDA",
        "AWS_ENDPOINT_URL_SCHEDULER",
    ];
    let said = door == InnerDoor::Open && !spec.environment.contains_key("AWS_ENDPOINT_URL");
    let named = SERVICES.map(|name| (name, format!("http://{INNER_DOOR}")));
    named.into_iter().filter(move |_| said)
}

fn reserved<'a>(
    spec: &FunctionSpec,
    stream: &str,
    initialization: Initialization,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    let key = &spec.key;
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
        (INITIALIZATION_TYPE, initialization.as_str().to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", spec.log_group.clone()),
        (LOG_STREAM, stream.to_owned()),
        ("AWS_LAMBDA_RUNTIME_API", RUNTIME_API.to_owned()),
        ("AWS_REGION", key.region.to_string()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("LAMBDA_TASK_ROOT", WORKING_DIRECTORY.to_owned()),
    ]
    .into_iter()
}

/// Software development kits sign every request and refuse to start without credentials; these name the
/// account, and are different for every instance. They open nothing: whoever comes through the inner door is known by it,
/// and nowhere else are they those of an access key.
fn credentials() -> [(&'static str, String); 2] {
    let secret = uuid::Uuid::new_v4().simple().to_string();
    [
        ("AWS_SECRET_ACCESS_KEY", secret.clone()),
        ("AWS_SESSION_TOKEN", secret),
    ]
}

/// Variables that no process could be given (a NUL inside, an empty name) are left out.
fn possible(all: BTreeMap<&str, String>) -> impl Iterator<Item = (&str, String)> {
    all.into_iter().filter(|(name, value)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    })
}

fn c_strings(all: BTreeMap<&str, String>) -> Vec<CString> {
    possible(all)
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_folders_by_the_name_of_the_runtime() {
        let folder = |name: &str| layer_folder(RuntimeName::from_name(name).unwrap());
        let python = "/opt/python/lib/python3.12/site-packages".to_owned();
        assert_eq!(folder("python3.12"), Some(("PYTHONPATH", python)));
        let node = "/opt/nodejs/node22/node_modules".to_owned();
        assert_eq!(folder("nodejs22.x"), Some(("NODE_PATH", node)));
        for own in ["python3.11", "nodejs20.x", "java21", "provided.al2"] {
            assert_eq!(folder(own), None, "{own}");
        }
    }
}
