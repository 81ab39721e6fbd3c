//! A launcher whose processes are tasks of the test, with real pipes and a real Runtime API connection.

pub(super) mod companions;
pub(super) mod forks;
mod process;
mod program;
mod runtime;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pilotlight_model::function::VersionKey;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::Listeners;

use crate::clock;
use crate::extensions::Accompaniment;
use crate::launcher::{
    Company, Exit, Launch, LaunchError, Launched, Launcher, Marks, RootKey, Slot,
};
use companions::ExtensionScript;
use forks::Forks;
use process::{FakeProcess, Living, Task, spawn};
use program::Position;
use runtime::{FakeRuntime, Frozen};

pub(super) use program::{Function, program, step};

/// What a fake process does; it ends with the exit that it returns.
pub(super) type Script = Arc<dyn Fn(FakeRuntime) -> BoxFuture<'static, Exit> + Send + Sync>;

/// Wraps an async function as a script.
pub(super) fn script<F>(run: impl Fn(FakeRuntime) -> F + Send + Sync + 'static) -> Script
where
    F: Future<Output = Exit> + Send + 'static,
{
    Arc::new(move |runtime| Box::pin(run(runtime)))
}

pub(super) struct FakeLauncher {
    script: Mutex<Script>,
    /// Errors of `execve` to come, by launch.
    pub(super) exec_errors: Mutex<Vec<io::Error>>,
    pub(super) launches: Arc<AtomicUsize>,
    pub(super) living: Arc<AtomicUsize>,
    pub(super) prepared: Mutex<Vec<(VersionKey, RootKey)>>,
    pub(super) forgotten: Mutex<Vec<VersionKey>>,
    pub(super) programs: Mutex<Vec<String>>,
    /// What runs beside every program of a version with layers.
    pub(super) extensions: Mutex<Vec<(String, ExtensionScript)>>,
    /// What can be done beside launching, where anything can.
    pub(super) forks: Option<Arc<Forks>>,
}

impl FakeLauncher {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script: Mutex::new(script),
            exec_errors: Mutex::default(),
            launches: Arc::default(),
            living: Arc::default(),
            prepared: Mutex::default(),
            forgotten: Mutex::default(),
            programs: Mutex::default(),
            extensions: Mutex::default(),
            forks: None,
        }
    }

    /// One whose processes can be frozen and forked.
    pub(super) fn forking(script: Script) -> Self {
        Self {
            forks: Some(Arc::default()),
            ..Self::new(script)
        }
    }

    pub(super) fn launches(&self) -> usize {
        self.launches.load(Ordering::SeqCst)
    }

    pub(super) fn living(&self) -> usize {
        self.living.load(Ordering::SeqCst)
    }
}

impl Launcher for Arc<FakeLauncher> {
    fn prepare(&self, owner: VersionKey, root: RootKey) -> BoxFuture<'_, Result<(), LaunchError>> {
        self.prepared.lock().push((owner, root));
        Box::pin(async { Ok(()) })
    }

    fn forget(&self, owner: &VersionKey) {
        self.forgotten.lock().push(owner.clone());
    }

    fn slot(&self) -> BoxFuture<'_, Result<Box<dyn Slot>, LaunchError>> {
        let slot: Box<dyn Slot> = Box::new(FakeSlot {
            launcher: Arc::clone(self),
            api: ApiPort::open(),
        });
        Box::pin(async { Ok(slot) })
    }

    fn pooled(&self) -> usize {
        3
    }

    fn forks(&self) -> bool {
        self.forks.is_some()
    }
}

struct FakeSlot {
    launcher: Arc<FakeLauncher>,
    api: ApiPort,
}

/// The listeners of one sandbox.
struct ApiPort {
    listeners: Option<Listeners>,
    address: SocketAddr,
}

impl ApiPort {
    fn open() -> Self {
        let listener = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let runtime_api = listener();
        let address = runtime_api.local_addr().unwrap();
        let inner_door = listener();
        Self {
            listeners: Some(Listeners {
                runtime_api,
                inner_door,
            }),
            address,
        }
    }
}

impl Slot for FakeSlot {
    fn take_listeners(&mut self) -> Option<Listeners> {
        self.api.listeners.take()
    }

    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>> {
        let started = self.launcher.accompany(&company, self.api.address);
        Box::pin(async { Ok(started) })
    }

    fn launch(
        self: Box<Self>,
        launch: Launch,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>> {
        let env = |pair: &std::ffi::CString| pair.to_str().unwrap().to_owned();
        let start = Frozen {
            position: None,
            env: launch.env.iter().map(env).collect(),
        };
        let program = launch.argv[0].to_str().unwrap().to_owned();
        self.launcher.programs.lock().push(program.clone());
        Box::pin(async move {
            if let Some(source) = self.launcher.exec_errors.lock().pop() {
                return Err(LaunchError::Exec { program, source });
            }
            Ok(self
                .launcher
                .run(start, launch.request_socket, self.api.address))
        })
    }
}

impl FakeLauncher {
    /// A process from its beginning, or from where it was frozen.
    fn run(
        self: &Arc<Self>,
        start: Frozen,
        socket: Option<OwnedFd>,
        api_address: SocketAddr,
    ) -> Launched {
        let (stdout, child_stdout) = io::pipe().unwrap();
        let (stderr, child_stderr) = io::pipe().unwrap();
        let oom_kills = Arc::new(AtomicU64::new(0));
        let state = Arc::new(Mutex::new(start.clone()));
        let runtime = FakeRuntime {
            number: self.launches.fetch_add(1, Ordering::SeqCst),
            env: start.env.clone(),
            position: start.position,
            state: Arc::clone(&state),
            stdout: child_stdout,
            stderr: child_stderr,
            oom_kills: Arc::clone(&oom_kills),
            socket,
            api_address,
        };
        let now = clock::now();
        let marks = Marks {
            cgroup: now,
            mounts: now,
            network: now,
            spawn: now,
        };
        let script = self.script.lock().clone();
        let (task, exit) = spawn(script(runtime), Living::one_of(&self.living));
        let process = FakeProcess {
            task,
            exit,
            oom_kills,
            launcher: Arc::clone(self),
            state,
        };
        Launched {
            process: Box::new(process),
            stdout: stdout.as_fd().try_clone_to_owned().unwrap(),
            stderr: stderr.as_fd().try_clone_to_owned().unwrap(),
            marks,
        }
    }
}
