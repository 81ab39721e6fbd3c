//! The recipes and what lies beside them, all of it part of the program.

use pilotlight_model::Runtime;

use super::java17;

/// A recipe as its folder has it.
pub(super) struct Source {
    pub(super) runtime: Runtime,
    /// `recipe.toml`.
    pub(super) recipe: &'static str,
    /// The files beside it that it may use, by name.
    pub(super) files: &'static [(&'static str, &'static str)],
}

/// What every image stands on.
pub(super) const BASE: &str = include_str!("../../../../runtimes/base/recipe.toml");

/// Every runtime's.
pub(super) const SOURCES: [Source; 4] = [
    Source {
        runtime: Runtime::Python311,
        recipe: include_str!("../../../../runtimes/python3.11/recipe.toml"),
        files: &[
            (
                "bootstrap.py",
                include_str!("../../../../runtimes/python3.11/bootstrap.py"),
            ),
            (
                "_pilotlight_logging.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_logging.py"),
            ),
            (
                "_pilotlight_modules.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_modules.py"),
            ),
            (
                "_pilotlight_random.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_random.py"),
            ),
            (
                "_pilotlight_rehearsal.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_rehearsal.py"),
            ),
            (
                "_pilotlight_template.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_template.py"),
            ),
            (
                "_pilotlight_warm_up.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_warm_up.py"),
            ),
            (
                "_pilotlight_zygote.py",
                include_str!("../../../../runtimes/python3.11/_pilotlight_zygote.py"),
            ),
            (
                "compile.py",
                include_str!("../../../../runtimes/python3.11/compile.py"),
            ),
            (
                "snapshot_restore_py.py",
                include_str!("../../../../runtimes/python3.11/snapshot_restore_py.py"),
            ),
        ],
    },
    Source {
        runtime: Runtime::Nodejs20x,
        recipe: include_str!("../../../../runtimes/nodejs20.x/recipe.toml"),
        files: &[
            (
                "bootstrap.cjs",
                include_str!("../../../../runtimes/nodejs20.x/bootstrap.cjs"),
            ),
            (
                "connection.cjs",
                include_str!("../../../../runtimes/nodejs20.x/connection.cjs"),
            ),
            (
                "console.cjs",
                include_str!("../../../../runtimes/nodejs20.x/console.cjs"),
            ),
            (
                "errors.cjs",
                include_str!("../../../../runtimes/nodejs20.x/errors.cjs"),
            ),
            (
                "handler.cjs",
                include_str!("../../../../runtimes/nodejs20.x/handler.cjs"),
            ),
            (
                "heap.cjs",
                include_str!("../../../../runtimes/nodejs20.x/heap.cjs"),
            ),
            (
                "import_path.cjs",
                include_str!("../../../../runtimes/nodejs20.x/import_path.cjs"),
            ),
            (
                "invocation.cjs",
                include_str!("../../../../runtimes/nodejs20.x/invocation.cjs"),
            ),
            (
                "parking.cjs",
                include_str!("../../../../runtimes/nodejs20.x/parking.cjs"),
            ),
            (
                "preload.cjs",
                include_str!("../../../../runtimes/nodejs20.x/preload.cjs"),
            ),
            (
                "package-lock.json",
                include_str!("../../../../runtimes/nodejs20.x/package-lock.json"),
            ),
            (
                "random.cjs",
                include_str!("../../../../runtimes/nodejs20.x/random.cjs"),
            ),
            (
                "runtime_api.cjs",
                include_str!("../../../../runtimes/nodejs20.x/runtime_api.cjs"),
            ),
            (
                "streaming.cjs",
                include_str!("../../../../runtimes/nodejs20.x/streaming.cjs"),
            ),
            (
                "template.cjs",
                include_str!("../../../../runtimes/nodejs20.x/template.cjs"),
            ),
            (
                "untold.cjs",
                include_str!("../../../../runtimes/nodejs20.x/untold.cjs"),
            ),
            (
                "warm.cjs",
                include_str!("../../../../runtimes/nodejs20.x/warm.cjs"),
            ),
            (
                "warm_up_event.cjs",
                include_str!("../../../../runtimes/nodejs20.x/warm_up_event.cjs"),
            ),
            (
                "zygote.cjs",
                include_str!("../../../../runtimes/nodejs20.x/zygote.cjs"),
            ),
        ],
    },
    Source {
        runtime: Runtime::Java17,
        recipe: include_str!("../../../../runtimes/java17/recipe.toml"),
        files: java17::FILES,
    },
    Source {
        runtime: Runtime::ProvidedAl2023,
        recipe: include_str!("../../../../runtimes/provided.al2023/recipe.toml"),
        files: &[],
    },
];
