//! What is executed in a sandbox: the runtime image's program, completed with what the function says.

use std::ffi::CString;

use pilotlight_model::Runtime;
use pilotlight_model::function::FunctionSpec;

use crate::runtime::RuntimeImage;

/// As the shell runs a program in its own place, with the shell's words and status where it cannot.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
const WRAPPED: &str = "unset AWS_LAMBDA_EXEC_WRAPPER; exec \"$0\" \"$@\"";
/// The program may be another than the image's, and is to have what makes numbers differ in forks all the same.
const BEFORE_NODE: &str =
    "export NODE_OPTIONS=\"--require=/var/runtime/untold.cjs${NODE_OPTIONS:+ $NODE_OPTIONS}\"; ";
/// The user's program that is to run the runtime.
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// Programs that may start an instance, in order. A custom runtime may come in a layer.
pub(crate) fn of_instance(image: &RuntimeImage, spec: &FunctionSpec) -> Vec<Vec<CString>> {
    let given = image.argv_with(spec.memory_mb);
    match image.runtime {
        Runtime::ProvidedAl2023 => {
            vec![c_strings(&given), c_strings(&["/opt/bootstrap".to_owned()])]
        }
        // Python's bootstrap becomes the wrapper by itself; Node and Java cannot.
        Runtime::Nodejs20x | Runtime::Java17 => match spec.environment.get(WRAPPER) {
            Some(wrapper) if !wrapper.is_empty() => {
                let before = match image.runtime {
                    Runtime::Nodejs20x => BEFORE_NODE,
                    _ => "",
                };
                let mut wrapped = SHELL.map(str::to_owned).to_vec();
                wrapped.extend([format!("{before}{WRAPPED}"), wrapper.clone()]);
                wrapped.extend(given);
                vec![c_strings(&wrapped)]
            }
            _ => vec![c_strings(&given)],
        },
        Runtime::Python311 => vec![c_strings(&given)],
    }
}

/// Strings for a new process; one with a NUL inside, which no process could be given, is left out.
pub(crate) fn c_strings(strings: &[String]) -> Vec<CString> {
    strings
        .iter()
        .filter_map(|text| CString::new(text.as_str()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{image, spec};

    #[test]
    fn a_wrapper_runs_java() {
        let mut spec = spec();
        let image = image(Runtime::Java17);
        assert_eq!(
            of_instance(&image, &spec),
            [[c"/var/runtime/bootstrap".to_owned()]]
        );
        spec.environment.insert(WRAPPER.into(), "/opt/wrap".into());
        let wrapped = of_instance(&image, &spec).remove(0);
        assert_eq!(wrapped[0].as_c_str(), c"/bin/sh");
        assert_eq!(wrapped[3].as_c_str(), c"/opt/wrap");
        assert_eq!(wrapped[4].as_c_str(), c"/var/runtime/bootstrap");
    }
}
