//! Answers in streaming mode: HTTP chunks, and trailers when an error cut them short.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::fake::script;
use super::*;

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
async fn a_streamed_answer_is_collected_and_its_trailers_tell_an_error() {
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
    let cut = world.invoke(&spec, told).await;
    assert_eq!(&cut.payload[..], br#"{"errorType":"E"}"#);
    assert_eq!(cut.function_error, Some("Unhandled"));

    let named = world
        .invoke(&spec, "Lambda-Runtime-Function-Error-Type: E\r\n!")
        .await;
    assert_eq!(json(&named.payload)["errorType"], "E");
    assert_eq!(world.launcher.launches(), 1);
}
