//! Java projects: built where their tool is there, else the jar that was built before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// What builds a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Maven,
    Gradle,
}

/// The tool that a project is made for.
pub(super) fn tool(source: &Path) -> Option<Tool> {
    let has = |name: &str| source.join(name).is_file();
    if has("pom.xml") {
        return Some(Tool::Maven);
    }
    (has("build.gradle") || has("build.gradle.kts")).then_some(Tool::Gradle)
}

/// The project's jar, built now if its tool is there.
pub(super) fn jar(source: &Path, tool: Tool) -> anyhow::Result<PathBuf> {
    let (wrapper, program, arguments, folder): (_, _, &[&str], _) = match tool {
        Tool::Maven => (
            "mvnw",
            "mvn",
            &["-q", "-B", "-DskipTests", "package"],
            "target",
        ),
        Tool::Gradle => (
            "gradlew",
            "gradle",
            &["-q", "build", "-x", "test"],
            "build/libs",
        ),
    };
    let wrapper = source.join(wrapper);
    let program = match wrapper.is_file() {
        true => wrapper.as_os_str().to_owned(),
        false => program.into(),
    };
    match Command::new(&program).arg("--version").output() {
        Ok(_) => {
            let name = program.to_string_lossy();
            super::run(
                Command::new(&program).args(arguments).current_dir(source),
                &name,
            )?;
        }
        Err(_) => eprintln!(
            "{} is not here: taking the jar that was built before",
            program.to_string_lossy()
        ),
    }
    let folder = source.join(folder);
    let Some(jar) = largest(&folder) else {
        bail!(
            "there is no jar in {}: build the project first",
            folder.display()
        );
    };
    eprintln!("jar: {}", jar.display());
    fs::canonicalize(&jar).with_context(|| format!("cannot find {}", jar.display()))
}

/// The one that has the most in it, of those that are meant to be run.
fn largest(folder: &Path) -> Option<PathBuf> {
    let jars = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let stem = name.strip_suffix(".jar")?;
        let aside = name.starts_with("original-")
            || ["-sources", "-javadoc", "-tests", "-plain"]
                .iter()
                .any(|suffix| stem.ends_with(suffix));
        let size = entry.metadata().ok()?.len();
        (!aside).then(|| (size, entry.path()))
    });
    jars.max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jar_that_is_meant_to_be_run() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(largest(folder.path()), None);
        for (name, size) in [
            ("app-1.jar", 10),
            ("app-1-all.jar", 20),
            ("app-1-sources.jar", 90),
            ("original-app-1.jar", 90),
            ("notes.txt", 90),
        ] {
            fs::write(folder.path().join(name), vec![0; size]).unwrap();
        }
        assert_eq!(
            largest(folder.path()),
            Some(folder.path().join("app-1-all.jar"))
        );
    }
}
