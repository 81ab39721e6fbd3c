//! A runtime that can be frozen while it waits, as our own bootstraps can: it writes its requests and reads
//! their answers itself, so that a fork of it can read the answer to a request that it never wrote.

use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{FakeRuntime, Script, script};
use crate::launcher::Exit;
use pilotlight_model::node::BoxFuture;

/// Where a process waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests) enum Position {
    Assignment,
    Restore,
    Next,
}

/// What a step of the user's code comes to.
pub(in crate::tests) type Step =
    Arc<dyn Fn(usize, Vec<String>) -> BoxFuture<'static, Result<(), Exit>> + Send + Sync>;

/// The user's code. Its handler answers with what it knows of itself, see [`program`].
#[derive(Clone)]
pub(in crate::tests) struct Function {
    /// Given the launch's number and the environment.
    pub(in crate::tests) init: Step,
    pub(in crate::tests) after_restore: Step,
    /// Whether its runtime asks for restore/next.
    pub(in crate::tests) knows_restore: bool,
}

impl Default for Function {
    fn default() -> Self {
        Self {
            init: step(|_, _| async { Ok(()) }),
            after_restore: step(|_, _| async { Ok(()) }),
            knows_restore: true,
        }
    }
}

/// Wraps an async function as a step.
pub(in crate::tests) fn step<F>(
    run: impl Fn(usize, Vec<String>) -> F + Send + Sync + 'static,
) -> Step
where
    F: Future<Output = Result<(), Exit>> + Send + 'static,
{
    Arc::new(move |number, env| Box::pin(run(number, env)))
}

/// A runtime that runs that function. It answers every event with its launch's number, its log stream, its
/// initialization type and the event; to the event `"exit"` it dies.
pub(in crate::tests) fn program(function: Function) -> Script {
    script(move |runtime| run(runtime, function.clone()))
}

async fn run(mut runtime: FakeRuntime, function: Function) -> Exit {
    let stream: Box<dyn Stream> = match runtime.inherits() {
        true => Box::new(runtime.socket()),
        false => Box::new(runtime.connect().await),
    };
    let mut process = Process {
        runtime,
        stream,
        buffer: Vec::new(),
    };
    match process.live(&function).await {
        Ok(never) => match never {},
        Err(exit) => exit,
    }
}

enum Never {}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Process {
    runtime: FakeRuntime,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Process {
    async fn live(&mut self, function: &Function) -> Result<Never, Exit> {
        let mut at = self.runtime.position;
        if at.is_none() && self.has("_PILOTLIGHT_ZYGOTE=1") {
            self.ask(Position::Assignment, "GET /pilotlight/assignment")
                .await;
            at = Some(Position::Assignment);
        }
        if at == Some(Position::Assignment) {
            let (_, body) = self.answer().await;
            let told: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(told["cwd"], "/var/task");
            self.runtime.env.clear();
            self.apply(&told);
            at = None;
        }
        if at.is_none() {
            self.runtime.print("user init\n");
            (function.init)(self.runtime.number, self.runtime.env.clone()).await?;
            let snap_start = self.has("AWS_LAMBDA_INITIALIZATION_TYPE=snap-start");
            if snap_start && function.knows_restore {
                self.ask(Position::Restore, "GET /2018-06-01/runtime/restore/next")
                    .await;
                at = Some(Position::Restore);
            } else {
                self.next().await;
            }
        }
        if at == Some(Position::Restore) {
            let (status, body) = self.answer().await;
            assert_eq!(status, 200);
            if !body.is_empty() {
                self.apply(&serde_json::from_slice(&body).unwrap());
            }
            let restored =
                (function.after_restore)(self.runtime.number, self.runtime.env.clone()).await;
            if let Err(exit) = restored {
                let headers = "lambda-runtime-function-error-type: Runtime.AfterRestoreError\r\n";
                let body = r#"{"errorMessage":"hook","errorType":"Runtime.AfterRestoreError"}"#;
                self.post("restore/error", headers, body).await;
                return Err(exit);
            }
            let now = crate::clock::now().0;
            self.send(
                "GET /2018-06-01/runtime/invocation/next",
                &format!("pilotlight-restore-done: {now}\r\n"),
                "",
            )
            .await;
        }
        loop {
            let (head, event) = self.receive().await;
            self.runtime.state.lock().position = None;
            let id = header(&head, "lambda-runtime-aws-request-id");
            let event = String::from_utf8(event).unwrap();
            if event == "\"exit\"" {
                return Err(Exit::Code(1));
            }
            let answer = serde_json::json!({
                "number": self.runtime.number,
                "stream": self.variable("AWS_LAMBDA_LOG_STREAM_NAME"),
                "type": self.variable("AWS_LAMBDA_INITIALIZATION_TYPE"),
                "secret": self.variable("AWS_SECRET_ACCESS_KEY"),
                "colour": self.variable("COLOUR"),
                "event": event,
                "told": self.variable("told"),
            });
            self.post(
                &format!("invocation/{id}/response"),
                "",
                &answer.to_string(),
            )
            .await;
            self.next().await;
        }
    }

    async fn next(&mut self) {
        self.ask(Position::Next, "GET /2018-06-01/runtime/invocation/next")
            .await;
    }

    /// Sends a request on whose answer the process can be frozen.
    async fn ask(&mut self, position: Position, line: &str) {
        {
            let mut state = self.runtime.state.lock();
            state.position = Some(position);
            state.env.clone_from(&self.runtime.env);
        }
        self.send(line, "", "").await;
    }

    async fn post(&mut self, path: &str, headers: &str, body: &str) {
        self.send(&format!("POST /2018-06-01/runtime/{path}"), headers, body)
            .await;
        let (status, _) = self.answer().await;
        assert_eq!(status, 202, "{path}");
    }

    async fn send(&mut self, line: &str, headers: &str, body: &str) {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: 127.0.0.1:9001\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        if self.stream.write_all(request.as_bytes()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn answer(&mut self) -> (u16, Vec<u8>) {
        let (head, body) = self.receive().await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body)
    }

    /// An answer's head and body. An ended instance is the end of this task too.
    async fn receive(&mut self) -> (String, Vec<u8>) {
        loop {
            let end = self.buffer.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
                let length: usize = header(&head, "content-length").parse().unwrap();
                if self.buffer.len() >= end + 4 + length {
                    let mut rest = self.buffer.split_off(end + 4);
                    self.buffer = rest.split_off(length);
                    return (head, rest);
                }
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                _ => std::future::pending().await,
            }
        }
    }

    fn has(&self, pair: &str) -> bool {
        self.runtime.env.iter().any(|it| it == pair)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let mut values = self.runtime.env.iter().rev();
        values.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    fn apply(&mut self, told: &Value) {
        for (name, value) in told["env"].as_object().unwrap() {
            let pair = format!("{name}={}", value.as_str().unwrap());
            self.runtime.env.push(pair);
        }
        if told["spare"] == true {
            self.runtime.env.push("told=spare".to_owned());
        }
    }
}

fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines();
    lines
        .find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
        .unwrap_or_default()
}
