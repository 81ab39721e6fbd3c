//! Tests of recipes and of what surrounds a build. A real build is an integration test.

use std::fs;
use std::path::Path;
use std::process::Command;

use pilotlight_model::Runtime;

use super::command::Program;
use super::error::BuildError;
use super::java17;
use super::recipe::{self, Recipe};
use super::sources::Source;

const BASE: &str = r#"
packages = ["libc6"]
exclude = ["dpkg"]
[files]
"etc/hosts" = "base"
"#;

const RECIPE: &str = r#"
argv = ["/bin/true"]
[version]
prefix = "x:"
package = "libc6"
[tree]
packages = ["curl"]
[tree.files]
"etc/hosts" = "runtime"
[tree.sources]
"var/runtime/a.py" = "a.py"
"#;

fn read(base: &str, recipe: &'static str, text: &'static str) -> Result<Recipe, BuildError> {
    let files: &'static [(&str, &str)] = Box::leak(Box::new([("a.py", text)]));
    let source = Source {
        runtime: Runtime::ProvidedAl2023,
        recipe,
        files,
    };
    Recipe::read(base, &source)
}

#[test]
fn a_runtime_stands_on_the_base() {
    let recipe = read(BASE, RECIPE, "print()").unwrap();
    assert_eq!(recipe.tree.packages, ["libc6", "curl"]);
    assert_eq!(recipe.tree.exclude, ["dpkg"]);
    assert_eq!(recipe.tree.files["etc/hosts"], "runtime");
    assert_eq!(recipe.tree.files["var/runtime/a.py"], "print()");
}

#[test]
fn unknown_keys_and_files_are_errors() {
    let reason = |base: &str, recipe: String| match read(base, recipe.leak(), "") {
        Err(BuildError::Recipe { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    for wrong in [
        RECIPE.replace("argv", "argw"),
        RECIPE.replace("[tree]", "[tree]\npackage = []"),
        RECIPE.replace("prefix", "prefix = \"\"\nsuffix"),
        format!("{RECIPE}\n[build]\nrun = []\nshell = true"),
        format!("{RECIPE}\n[byte_code]\ninterpreter = \"a\"\nfolders = []\nlevel = 2"),
    ] {
        let reason = reason(BASE, wrong);
        assert!(reason.contains("unknown field"), "{reason}");
    }
    assert!(reason("package = []", RECIPE.to_owned()).contains("unknown field"));
    let missing = reason(BASE, RECIPE.replace("\"a.py\"", "\"b.py\""));
    assert_eq!(missing, "there is no file b.py");
    let empty = reason(BASE, RECIPE.replace("\"/bin/true\"", ""));
    assert_eq!(empty, "argv is empty");
}

#[test]
fn the_key_covers_all_that_decides() {
    let key = |base: &str, recipe: &str, file: &str| {
        let recipe = recipe.to_owned().leak();
        read(base, recipe, file.to_owned().leak()).unwrap().key
    };
    let first = key(BASE, RECIPE, "1");
    assert_eq!(first, key(BASE, RECIPE, "1"));
    let others = [
        key(&format!("{BASE}#"), RECIPE, "1"),
        key(BASE, &format!("{RECIPE}#"), "1"),
        key(BASE, RECIPE, "2"),
    ];
    for other in &others {
        assert_ne!(*other, first);
    }
}

#[test]
fn every_runtime_has_a_recipe() {
    let recipes = recipe::all().unwrap();
    let runtimes: Vec<Runtime> = recipes.iter().map(|recipe| recipe.runtime).collect();
    assert_eq!(runtimes, Runtime::ALL);
    for recipe in &recipes {
        for folder in ["var/task", "opt", "tmp", "proc", "dev"] {
            assert!(recipe.tree.directories.iter().any(|path| path == folder));
        }
    }
}

#[test]
fn build_steps_find_what_is_beside_the_recipe() {
    let recipe = format!("{RECIPE}\n[build]\nrun = [[\"/bin/true\"]]");
    let build = read(BASE, recipe.leak(), "print()").unwrap().build.unwrap();
    assert_eq!(build.run, [["/bin/true"]]);
    assert_eq!(build.files["a.py"], "print()");
}

/// A source that is not in the list would be missing in the image.
#[test]
fn every_file_of_java17_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/java17");
    let mut folders = vec![folder.clone()];
    let mut there = Vec::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&folder).unwrap();
                there.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    there.sort();
    let mut listed: Vec<String> = java17::FILES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    listed.push("recipe.toml".to_owned());
    listed.sort();
    assert_eq!(listed, there);
}

#[test]
fn a_failing_program_says_what_and_why() {
    const SH: Program = Program {
        name: "sh",
        package: "dash",
        advice: "try again",
    };
    let mut command = SH.command();
    let error = SH.run(command.args(["-c", "echo one >&2; exit 3"]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "sh failed (exit status: 3): one; try again"
    );
    const ABSENT: Program = Program {
        name: "no-such-program",
        package: "nothing",
        advice: "",
    };
    let error = ABSENT.run(&mut Command::new(ABSENT.name)).unwrap_err();
    assert!(matches!(
        error,
        BuildError::NoProgram {
            package: "nothing",
            ..
        }
    ));
}
