//! Answers in streaming mode: HTTP chunks, and trailers when an error cut them short.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use pilotlight_model::Phase;
use pilotlight_model::limits::STREAMED_RESPONSE_BYTES;
use pilotlight_model::logging::{LogFormat, LogLevel};
use pilotlight_model::node::{BoxFuture, ResponseSink, StreamBegun};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::fake::script;
use super::*;
use crate::launcher::Exit;

/// A caller that takes what it is let to.
#[derive(Debug)]
struct Client {
    begun: Mutex<Option<StreamBegun>>,
    chunks: Mutex<Vec<Bytes>>,
    /// Chunks that it may take.
    appetite: Semaphore,
}

impl Client {
    /// Takes that many chunks.
    fn with_appetite(chunks: usize) -> Arc<Self> {
        Arc::new(Self {
            begun: Mutex::default(),
            chunks: Mutex::default(),
            appetite: Semaphore::new(chunks),
        })
    }

    fn hungry() -> Arc<Self> {
        Self::with_appetite(Semaphore::MAX_PERMITS)
    }

    fn text(&self) -> String {
        String::from_utf8(self.chunks.lock().concat()).unwrap()
    }
}

impl ResponseSink for Client {
    fn begin(&self, begun: StreamBegun) {
        let before = self.begun.lock().replace(begun);
        assert!(before.is_none(), "an answer begins once");
    }

    fn send(&self, chunk: Bytes) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            assert!(self.begun.lock().is_some(), "an answer has a beginning");
            self.appetite.acquire().await.unwrap().forget();
            self.chunks.lock().push(chunk);
        })
    }
}

/// A request whose answer `client` takes as it comes.
fn streamed(spec: &Arc<FunctionSpec>, event: &str, client: &Arc<Client>) -> InvokeRequest {
    InvokeRequest {
        stream: Some(Arc::clone(client) as _),
        ..request(spec, event)
    }
}

/// The head of a streamed answer.
fn head(id: &str) -> String {
    format!(
        "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: runtime\r\nContent-Type: text/x\r\n\
         Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

async fn status(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = [0; 1024];
    let count = socket.read(&mut answer).await.unwrap();
    let answer = std::str::from_utf8(&answer[..count]).unwrap();
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Reads the event that was asked for: its id, and the event itself.
async fn event(socket: &mut UnixStream) -> (String, String) {
    let ask = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n";
    socket.write_all(ask).await.unwrap();
    let mut text = String::new();
    while !text.ends_with('!') {
        let mut buffer = [0; 4096];
        let count = socket.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the instance lives");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    let (head, body) = text.rsplit_once("\r\n\r\n").unwrap();
    let id = head
        .lines()
        .find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: "))
        .unwrap();
    (id.to_owned(), body.trim_end_matches('!').to_owned())
}

#[tokio::test]
async fn an_answer_that_nobody_takes_as_it_comes_is_collected_and_its_trailers_tell_an_error() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        loop {
            // The event is what comes after the chunks.
            let (id, trailers) = event(&mut socket).await;
            let answer = format!(
                "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: runtime\r\n\
                 Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\n{{\"a\"\r\n3\r\n:1}}\r\n0\r\n{trailers}\r\n"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
            let mut acknowledged = [0; 1024];
            let count = socket.read(&mut acknowledged).await.unwrap();
            assert!(acknowledged[..count].starts_with(b"HTTP/1.1 202 "));
        }
    }));
    let spec = Arc::new(spec());
    let whole = world.invoke(&spec, "!").await;
    assert_eq!(&whole.payload[..], br#"{"a":1}"#);
    assert_eq!(whole.function_error, None);

    // {"errorType":"E"}
    let told = "Lambda-Runtime-Function-Error-Type: E\r\n\
                Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJFIn0=\r\n!";
    world.idle().await;
    let cut = world.invoke(&spec, told).await;
    assert_eq!(&cut.payload[..], br#"{"errorType":"E"}"#);
    assert_eq!(cut.function_error, Some("Unhandled"));

    world.idle().await;
    let named = world
        .invoke(&spec, "Lambda-Runtime-Function-Error-Type: E\r\n!")
        .await;
    assert_eq!(json(&named.payload)["errorType"], "E");
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn an_answer_reaches_the_caller_while_the_function_runs() {
    let go_on = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&go_on);
    let world = World::new(script(move |mut runtime| {
        let told = Arc::clone(&told);
        async move {
            let mut socket = runtime.socket();
            loop {
                // The event is what comes after the chunks.
                let (id, trailers) = event(&mut socket).await;
                let begin = head(&id) + "5\r\nfirst\r\n";
                socket.write_all(begin.as_bytes()).await.unwrap();
                told.acquire().await.unwrap().forget();
                let rest = format!("4\r\nlast\r\n0\r\n{trailers}\r\n");
                socket.write_all(rest.as_bytes()).await.unwrap();
                assert_eq!(status(&mut socket).await, "202");
            }
        }
    }));
    let spec = Arc::new(spec());
    let client = Client::hungry();
    let invoking = world.start_invoke(streamed(&spec, "!", &client));
    world.until(|_| client.text() == "first").await;
    assert!(!invoking.is_finished(), "the function runs on");
    let begun = client.begun.lock().clone().unwrap();
    assert_eq!(begun.content_type.unwrap(), "text/x");
    assert_eq!(begun.timeline.phases().last().unwrap().0, Phase::Handler);
    go_on.add_permits(2);
    let reply = invoking.await.unwrap().unwrap();
    assert_eq!(client.text(), "firstlast");
    assert_eq!((reply.payload.len(), reply.function_error), (0, None));
    let phases = reply.timeline.phases();
    let names: Vec<Phase> = phases.iter().rev().map(|it| it.0).take(2).collect();
    assert_eq!(names, [Phase::Stream, Phase::Handler]);

    // {"errorType":"E"}
    let trailers = "Lambda-Runtime-Function-Error-Type: E\r\n\
                    Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJFIn0=\r\n!";
    let client = Client::hungry();
    let cut = world.try_invoke(streamed(&spec, trailers, &client)).await;
    let cut = cut.unwrap();
    assert_eq!(client.text(), "firstlast");
    assert_eq!(&cut.payload[..], br#"{"errorType":"E"}"#);
    assert_eq!(cut.function_error, Some("Unhandled"));
}

#[tokio::test]
async fn the_log_tells_how_much_was_streamed() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        loop {
            let (id, _) = event(&mut socket).await;
            let answer = head(&id) + "5\r\nfirst\r\n0\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.unwrap();
            assert_eq!(status(&mut socket).await, "202");
        }
    }));
    let spec = Arc::new(FunctionSpec {
        log_format: LogFormat::Json {
            application: LogLevel::Info,
            system: LogLevel::Debug,
        },
        ..spec()
    });
    for _ in 0..2 {
        let client = Client::hungry();
        world
            .try_invoke(streamed(&spec, "!", &client))
            .await
            .unwrap();
    }
    let log: Vec<Value> = world
        .log()
        .await
        .iter()
        .map(|it| json(it.as_bytes()))
        .collect();
    let done = log
        .iter()
        .find(|it| it["type"] == "platform.runtimeDone")
        .unwrap();
    assert_eq!(done["record"]["metrics"]["producedBytes"], 5);
}

#[tokio::test]
async fn an_error_before_the_first_byte_is_the_answer() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        let (id, _) = event(&mut socket).await;
        let answer = head(&id) + "0\r\nLambda-Runtime-Function-Error-Type: E\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending().await
    }));
    let client = Client::hungry();
    let spec = Arc::new(spec());
    let reply = world.try_invoke(streamed(&spec, "!", &client)).await;
    let reply = reply.unwrap();
    assert_eq!(json(&reply.payload)["errorType"], "E");
    assert_eq!(reply.function_error, Some("Unhandled"));
    assert!(client.begun.lock().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_makes_the_function_wait() {
    const CHUNK: usize = 32 * 1024;
    const CHUNKS: usize = 256;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let world = World::new(script(move |mut runtime| {
        let count = Arc::clone(&count);
        async move {
            let mut socket = runtime.socket();
            let (id, _) = event(&mut socket).await;
            socket.write_all(head(&id).as_bytes()).await.unwrap();
            let chunk = format!("{CHUNK:x}\r\n{}\r\n", "x".repeat(CHUNK));
            for _ in 0..CHUNKS {
                socket.write_all(chunk.as_bytes()).await.unwrap();
                count.fetch_add(CHUNK, Ordering::Relaxed);
            }
            socket.write_all(b"0\r\n\r\n").await.unwrap();
            std::future::pending().await
        }
    }));
    let spec = Arc::new(spec());
    let client = Client::with_appetite(1);
    let invoking = world.start_invoke(streamed(&spec, "!", &client));
    world.until(|_| client.chunks.lock().len() == 1).await;
    // It gets no further than what sockets and one read hold. No time passes for as long as anybody can go on.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let taken = written.load(Ordering::Relaxed);
    assert!(taken < CHUNKS * CHUNK / 2, "{taken} bytes were taken");
    client.appetite.add_permits(CHUNKS * CHUNK);
    invoking.await.unwrap().unwrap();
    assert_eq!(client.text().len(), CHUNKS * CHUNK);
}

#[tokio::test]
async fn what_ends_the_function_ends_the_answer_and_what_was_sent_stays() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        let (id, how) = event(&mut socket).await;
        let begin = head(&id) + "4\r\npart\r\n";
        socket.write_all(begin.as_bytes()).await.unwrap();
        match how.as_str() {
            "hang" => std::future::pending().await,
            _ => Exit::Code(3),
        }
    }));
    let spec = Arc::new(FunctionSpec {
        timeout: Duration::from_millis(300),
        ..spec()
    });
    for (how, error) in [
        ("hang!", "Sandbox.Timedout"),
        ("exit!", "Runtime.ExitError"),
    ] {
        let client = Client::hungry();
        let reply = world.try_invoke(streamed(&spec, how, &client)).await;
        let reply = reply.unwrap();
        assert_eq!(client.text(), "part");
        assert_eq!(json(&reply.payload)["errorType"], error, "{how}");
        assert_eq!(reply.function_error, Some("Unhandled"));
    }
    // A caller that takes nothing keeps nobody from ending it.
    let client = Client::with_appetite(0);
    let reply = world.try_invoke(streamed(&spec, "hang!", &client)).await;
    assert_eq!(
        json(&reply.unwrap().payload)["errorType"],
        "Sandbox.Timedout"
    );
}

#[tokio::test]
async fn a_broken_answer_can_end_in_an_error_and_not_begin_anew() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        let (id, _) = event(&mut socket).await;
        let begin = head(&id) + "4\r\npart\r\nno chunk";
        socket.write_all(begin.as_bytes()).await.unwrap();
        assert_eq!(status(&mut socket).await, "400");
        let again = head(&id) + "0\r\n\r\n";
        let mut socket = runtime.connect().await;
        socket.write_all(again.as_bytes()).await.unwrap();
        assert_eq!(status(&mut socket).await, "403");
        let error = format!(
            "POST /2018-06-01/runtime/invocation/{id}/error HTTP/1.1\r\nHost: runtime\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        let mut socket = runtime.connect().await;
        socket.write_all(error.as_bytes()).await.unwrap();
        assert_eq!(status(&mut socket).await, "202");
        std::future::pending().await
    }));
    let client = Client::hungry();
    let spec = Arc::new(spec());
    let reply = world.try_invoke(streamed(&spec, "!", &client)).await;
    let reply = reply.unwrap();
    assert_eq!(
        (&reply.payload[..], reply.function_error),
        (&b"{}"[..], Some("Unhandled"))
    );
    assert_eq!(client.text(), "part");
}

#[tokio::test]
async fn a_streamed_answer_has_a_limit_of_its_own() {
    const CHUNK: usize = 1 << 20;
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        let (id, _) = event(&mut socket).await;
        socket.write_all(head(&id).as_bytes()).await.unwrap();
        let chunk = format!("{CHUNK:x}\r\n{}\r\n", "x".repeat(CHUNK));
        for _ in 0..=STREAMED_RESPONSE_BYTES / CHUNK as u64 {
            socket.write_all(chunk.as_bytes()).await.unwrap();
        }
        socket.write_all(b"0\r\n\r\n").await.unwrap();
        assert_eq!(status(&mut socket).await, "413");
        std::future::pending().await
    }));
    let spec = Arc::new(FunctionSpec {
        timeout: Duration::from_secs(600),
        ..spec()
    });
    let client = Client::hungry();
    let reply = world.try_invoke(streamed(&spec, "!", &client)).await;
    let error = json(&reply.unwrap().payload);
    assert_eq!(error["errorType"], "Function.ResponseSizeTooLarge");
    let taken: usize = client.chunks.lock().iter().map(Bytes::len).sum();
    assert!(taken as u64 <= STREAMED_RESPONSE_BYTES, "{taken}");
}
