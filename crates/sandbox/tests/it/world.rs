//! A node with an image in which the guest is all there is.

use std::ffi::CString;
use std::fs;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{
    Code, Config, Demand, Exit, FreezeError, Furnishing, Image, Launch, Process, Refusal, Root,
    Sandboxes, Template,
};
use tokio::sync::OnceCell;

pub(crate) struct World {
    pub(crate) sandboxes: Sandboxes,
    pub(crate) root: Root,
    pub(crate) runtime: Image,
    pub(crate) resolv_conf: PathBuf,
    pub(crate) config: Config,
    pub(crate) folder: tempfile::TempDir,
    /// How guests are started that have no request socket.
    pub(crate) kind: Kind,
    template: OnceCell<Template>,
}

/// How a program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Booted,
    /// From a template.
    Forked,
    /// From a template that was forked from another, as an instance is whose template was forked from a zygote.
    ForkedTwice,
}

/// What became of a guest.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) oom_kills: u64,
}

/// A test that gets a world, which is gone after it.
pub(crate) fn trial<F: Future<Output = ()> + 'static>(name: &str, body: fn(World) -> F) -> Trial {
    Trial::test(name, move || {
        runtime().block_on(async { body(World::new(2).await).await });
        Ok(())
    })
}

/// The test once for each way in which a program can be started.
pub(crate) fn trials_of_every_kind<F: Future<Output = ()> + 'static>(
    name: &str,
    body: fn(World) -> F,
) -> Vec<Trial> {
    let kinds = [
        (Kind::Booted, ""),
        (Kind::Forked, "_when_forked"),
        (Kind::ForkedTwice, "_when_forked_twice"),
    ];
    kinds
        .map(|(kind, suffix)| {
            Trial::test(format!("{name}{suffix}"), move || {
                runtime().block_on(async {
                    let world = World::new(2).await;
                    body(World { kind, ..world }).await;
                });
                Ok(())
            })
        })
        .into()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

impl World {
    pub(crate) async fn new(pool_size: usize) -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        World::named(&name, pool_size).await
    }

    pub(crate) async fn named(name: &str, pool_size: usize) -> World {
        let folder = tempfile::tempdir().unwrap();
        let resolv_conf = folder.path().join("resolv.conf");
        fs::write(&resolv_conf, "nameserver 192.0.2.1\n").unwrap();
        let runtime = Image::mount(&runtime_image()).unwrap();
        let root = Root::assemble(&runtime, Code::Empty, &[], &resolv_conf).unwrap();
        let config = Config {
            pool_size,
            ..Config::new(name)
        };
        let sandboxes = Sandboxes::start(config.clone()).await.unwrap();
        World {
            sandboxes,
            root,
            runtime,
            resolv_conf,
            config,
            folder,
            kind: Kind::Booted,
            template: OnceCell::new(),
        }
    }

    /// Deletes all sandboxes.
    pub(crate) async fn end(&mut self) {
        drop(self.template.take());
        self.sandboxes.shutdown().await;
    }

    /// Starts the guest in a root with 128 MiB of memory and 16 MiB of `/tmp`.
    pub(crate) async fn start_in(&self, root: &Root, arguments: &[&str]) -> Process {
        if self.kind != Kind::Booted {
            let template = self.template.get_or_init(|| self.make_template()).await;
            let (process, mut socket) = fork_in(template, root).await;
            let words: Vec<u8> = arguments
                .iter()
                .flat_map(|word| [word.as_bytes(), b"\0"].concat())
                .collect();
            socket.write_all(&words).unwrap();
            return process;
        }
        let slot = self.sandboxes.slot().await.unwrap();
        slot.launch(launch(root, arguments)).await.unwrap()
    }

    pub(crate) async fn start(&self, arguments: &[&str]) -> Process {
        self.start_in(&self.root, arguments).await
    }

    /// Runs the guest to its end.
    pub(crate) async fn run_in(&self, root: &Root, arguments: &[&str]) -> Outcome {
        finish(self.start_in(root, arguments).await).await
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_in(&self.root, arguments).await
    }

    /// What the guest wrote; it must have succeeded.
    pub(crate) async fn output(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments).await;
        assert_eq!(outcome.exit, Exit::Code(0), "{outcome:?}");
        outcome.stdout
    }

    /// A guest with a request socket that has said that it is ready.
    pub(crate) async fn start_waiting(&self, arguments: &[&str]) -> (Process, UnixStream) {
        let (mut ours, theirs) = connection();
        let mut ready = [0; 5];
        let mut with_socket = launch(&self.root, arguments);
        with_socket.request_socket = Some(theirs);
        let slot = self.sandboxes.slot().await.unwrap();
        let process = slot.launch(with_socket).await.unwrap();
        ours.read_exact(&mut ready).unwrap();
        (process, ours)
    }

    async fn make_template(&self) -> Template {
        let (process, _socket) = self.start_waiting(&["later"]).await;
        let template = freeze(&process).await;
        if self.kind == Kind::Forked {
            return template;
        }
        let (process, _socket) = self.fork(&template).await;
        freeze(&process).await
    }

    /// A fork in the usual root.
    pub(crate) async fn fork(&self, template: &Template) -> (Process, UnixStream) {
        fork_in(template, &self.root).await
    }

    /// A root in which the guest stands in `/opt/extensions`, under those names.
    pub(crate) fn root_with_extensions(&self, names: &[&str]) -> Root {
        let tree = self.folder.path().join("layer");
        let extensions = tree.join("extensions");
        fs::create_dir_all(extensions.join("folder")).unwrap();
        for name in names {
            symlink("/bin/guest", extensions.join(name)).unwrap();
        }
        fs::write(extensions.join("text"), "no program").unwrap();
        let image = tree.with_extension("erofs");
        make_image(&tree, &image);
        let layer = Image::mount(&image).unwrap();
        Root::assemble(&self.runtime, Code::Empty, &[&layer], &self.resolv_conf).unwrap()
    }

    /// An image of those files, mounted.
    pub(crate) fn image(&self, name: &str, files: &[(&str, &str)]) -> Image {
        let tree = self.folder.path().join(name);
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let image = tree.with_extension("erofs");
        make_image(&tree, &image);
        Image::mount(&image).unwrap()
    }
}

pub(crate) fn launch<'a>(root: &'a Root, arguments: &[&str]) -> Launch<'a> {
    let argv = std::iter::once(&"/bin/guest")
        .chain(arguments)
        .map(|argument| CString::new(*argument).unwrap());
    Launch {
        root,
        argv: argv.collect(),
        env: vec![c"ANSWER=42".to_owned()],
        cwd: c"/var/task".to_owned(),
        memory_mb: 128,
        tmp_mb: 16,
        request_socket: None,
    }
}

async fn fork_in(template: &Template, root: &Root) -> (Process, UnixStream) {
    let (ours, theirs) = connection();
    let mut berth = template.berth(Demand::Start).await.unwrap();
    let furnishing = Furnishing {
        root,
        memory_mb: 128,
        tmp_mb: 16,
    };
    berth.furnish(furnishing).await.unwrap();
    (berth.fork(Some(theirs)).await.unwrap(), ours)
}

/// The test's end, and the guest's. A guest that does not answer fails its test.
pub(crate) fn connection() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    (ours, theirs.into())
}

/// Freezes the process, which may need a moment until it waits.
pub(crate) async fn freeze(process: &Process) -> Template {
    for _ in 0..500 {
        match process.freeze().await {
            Ok(template) => return template,
            Err(FreezeError::Refused(Refusal::RunningThread { .. })) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the program does not come to rest");
}

/// By the host's ids.
pub(crate) fn parent_of(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:\t"))
        .unwrap()
        .parse()
        .unwrap()
}

/// Reads all that the process writes, then waits for its end.
pub(crate) async fn finish(mut process: Process) -> Outcome {
    let stdout = drain(&mut process.stdout);
    let stderr = drain(&mut process.stderr);
    let exit = process.wait().await;
    let oom_kills = process.oom_kills();
    Outcome {
        exit,
        stdout: stdout.await.unwrap(),
        stderr: stderr.await.unwrap(),
        oom_kills,
    }
}

fn drain(pipe: &mut OwnedFd) -> tokio::task::JoinHandle<String> {
    let mut pipe = fs::File::from(pipe.try_clone().unwrap());
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

/// The image of the runtime, made once per version of the guest.
pub(crate) fn runtime_image() -> PathBuf {
    let sources = [
        ("guest.c", include_str!("guest.c")),
        ("hostile.c", include_str!("hostile.c")),
    ];
    let library = include_str!("library.c");
    let mut hash = DefaultHasher::new();
    (sources, library).hash(&mut hash);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let image = cache.join(format!("guest-{:016x}.erofs", hash.finish()));
    if !image.exists() {
        let work = tempfile::tempdir_in(cache).unwrap();
        let tree = work.path().join("tree");
        for folder in ["bin", "dev", "etc", "opt", "proc", "tmp", "var/task"] {
            fs::create_dir_all(tree.join(folder)).unwrap();
        }
        fs::write(tree.join("etc/resolv.conf"), "").unwrap();
        fs::write(tree.join("etc/no-program"), "").unwrap();
        symlink("missing", tree.join("bin/dangling")).unwrap();
        let files = sources.map(|(name, source)| {
            let file = work.path().join(name);
            fs::write(&file, source).unwrap();
            file
        });
        let compiled = Command::new("cc")
            .args(["-static", "-pthread", "-O1", "-Wall", "-Werror", "-o"])
            .arg(tree.join("bin/guest"))
            .args(files)
            .status();
        assert!(compiled.unwrap().success());
        fs::write(work.path().join("library.c"), library).unwrap();
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(tree.join("bin/library.so"))
            .arg(work.path().join("library.c"))
            .status();
        assert!(compiled.unwrap().success());
        make_image(&tree, &work.path().join("image"));
        // Another test process may be faster: then this one replaces the same.
        fs::rename(work.path().join("image"), &image).unwrap();
    }
    image
}

fn make_image(tree: &Path, image: &Path) {
    let made = Command::new("mkfs.erofs")
        .arg("--all-root")
        .arg(image)
        .arg(tree)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
