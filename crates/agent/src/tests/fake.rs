//! A launcher whose processes are tasks of the test, with real pipes and a real Runtime API connection.

pub(super) mod companions;
pub(super) mod forks;
mod program;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pilotlight_model::function::VersionKey;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::Lesson;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::clock;
use crate::extensions::Accompaniment;
use crate::launcher::{
    Company, Exit, FreezeError, Launch, LaunchError, Launched, Launcher, Marks, Process, RootKey,
    Slot, Template,
};
use companions::ExtensionScript;
use forks::Forks;

use program::Position;
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

/// The world as a process sees it.
pub(super) struct FakeRuntime {
    /// Counts launches from 0.
    pub(super) number: usize,
    pub(super) env: Vec<String>,
    pub(super) stdout: io::PipeWriter,
    pub(super) stderr: io::PipeWriter,
    pub(super) oom_kills: Arc<AtomicU64>,
    /// Where a fork goes on.
    pub(super) position: Option<Position>,
    /// Where the process stands, for those who freeze it.
    state: Arc<Mutex<Frozen>>,
    socket: Option<OwnedFd>,
    /// Where the Runtime API listens in its sandbox.
    api_address: SocketAddr,
}

/// What a process is when it is frozen.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    /// The request that it waits for, if it does.
    position: Option<Position>,
    env: Vec<String>,
}

impl FakeRuntime {
    /// The inherited connection, as it is.
    pub(super) fn socket(&mut self) -> UnixStream {
        let socket: std::os::unix::net::UnixStream = self
            .socket
            .take()
            .expect("the request socket is taken once")
            .into();
        socket.set_nonblocking(true).unwrap();
        UnixStream::from_std(socket).unwrap()
    }

    /// Whether a connection was inherited.
    pub(super) fn inherits(&self) -> bool {
        self.socket.is_some()
    }

    /// The Extensions API, for what the runtime's own process registers.
    pub(super) fn extensions(&self) -> companions::ExtensionsApi {
        companions::ExtensionsApi::at(self.api_address)
    }

    /// A connection of its own, as a runtime makes it that inherits none.
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.api_address).await.unwrap()
    }

    /// The Runtime API over the inherited connection.
    pub(super) async fn api(&mut self) -> Api {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.socket()))
                .await
                .unwrap();
        tokio::spawn(connection);
        Api { sender }
    }

    pub(super) fn print(&mut self, text: &str) {
        self.stdout.write_all(text.as_bytes()).unwrap();
    }
}

/// A client of the Runtime API.
pub(super) struct Api {
    sender: SendRequest<Full<Bytes>>,
}

/// An event as the runtime got it.
pub(super) struct FakeEvent {
    pub(super) id: String,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

impl Api {
    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Bytes> {
        self.try_call(method, path, headers, body)
            .await
            .expect("the instance lives")
    }

    pub(super) async fn try_call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> hyper::Result<Response<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/2018-06-01/runtime/{path}"))
            .header("host", "127.0.0.1:9001");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    pub(super) async fn next(&mut self) -> FakeEvent {
        self.next_with(&[]).await
    }

    /// Waits for an event for ever: an ended instance is the end of this task too.
    pub(super) async fn next_with(&mut self, headers: &[(&str, &str)]) -> FakeEvent {
        let answer = self
            .try_call(Method::GET, "invocation/next", headers, Bytes::new())
            .await;
        let Ok(answer) = answer else {
            return std::future::pending().await;
        };
        assert_eq!(answer.status(), StatusCode::OK);
        let id = answer.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        FakeEvent {
            id,
            headers: answer.headers().clone(),
            body: answer.into_body(),
        }
    }

    pub(super) async fn respond(&mut self, id: &str, body: impl Into<Bytes>) -> StatusCode {
        let path = format!("invocation/{id}/response");
        self.call(Method::POST, &path, &[], body.into())
            .await
            .status()
    }

    pub(super) async fn fail(&mut self, id: &str, body: &str) -> StatusCode {
        let path = format!("invocation/{id}/error");
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.call(Method::POST, &path, &[], body).await.status()
    }

    /// Answers every event with itself.
    pub(super) async fn echo(&mut self) -> ! {
        loop {
            let event = self.next().await;
            self.respond(&event.id, event.body).await;
        }
    }
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

/// The listener of one sandbox.
struct ApiPort {
    listener: Option<TcpListener>,
    address: SocketAddr,
}

impl ApiPort {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            listener: Some(listener),
            address,
        }
    }
}

impl Slot for FakeSlot {
    fn take_runtime_api(&mut self) -> Option<TcpListener> {
        self.api.listener.take()
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

struct FakeProcess {
    task: Arc<Task>,
    exit: watch::Receiver<Option<Exit>>,
    oom_kills: Arc<AtomicU64>,
    launcher: Arc<FakeLauncher>,
    state: Arc<Mutex<Frozen>>,
}

/// Ends with its last handle: the process, or the template that it has become.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a process for as long as it is there.
struct Living(Arc<AtomicUsize>);

impl Living {
    fn one_of(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(all))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a script as a process.
fn spawn(
    body: BoxFuture<'static, Exit>,
    living: Living,
) -> (Arc<Task>, watch::Receiver<Option<Exit>>) {
    let (sender, exit) = watch::channel(None);
    let task = tokio::spawn(body);
    let abort = task.abort_handle();
    tokio::spawn(async move {
        let ended = task.await.unwrap_or_else(|error| {
            // A failed assertion inside a script must fail the test, not look like a crash.
            assert!(error.is_cancelled(), "script panicked");
            Exit::Signal(9)
        });
        drop(living);
        let _ = sender.send(Some(ended));
    });
    (Arc::new(Task(abort)), exit)
}

impl Process for FakeProcess {
    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            match exit.wait_for(Option::is_some).await {
                Ok(exit) => exit.expect("waited for"),
                Err(_) => Exit::Signal(9),
            }
        })
    }

    fn terminate(&self) {
        self.task.0.abort();
    }

    fn kill(&self) {
        self.task.0.abort();
    }

    fn init_ended(&self) {}

    fn memory_peak_bytes(&self) -> u64 {
        36 * 1024 * 1024
    }

    fn oom_kills(&self) -> u64 {
        self.oom_kills.load(Ordering::SeqCst)
    }

    fn private_bytes(&self) -> u64 {
        forks::SPARE_BYTES
    }

    fn teach_template(&self, _lesson: Lesson) -> bool {
        true
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Arc<dyn Template>, FreezeError>> {
        let frozen = self.state.lock().clone();
        Box::pin(async move {
            let template = Forks::freeze(&self.launcher, frozen, &self.task, &self.exit)?;
            let template: Arc<dyn Template> = template;
            Ok(template)
        })
    }
}
