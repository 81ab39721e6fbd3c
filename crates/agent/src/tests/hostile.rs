//! Runtimes that do not keep to the protocol. Whatever they do, the request ends, and the node serves
//! the next one.

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fake::script;
use super::*;
use crate::launcher::Exit;

#[tokio::test]
async fn requests_out_of_order_are_refused_as_lambda_refuses_them() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let nobody = RequestId::new().to_string();
        let early = api.fail(&nobody, "{}").await;
        let event = api.next().await;
        let mut told = vec![
            early,
            api.call(Method::GET, "invocation/next", &[], Bytes::new())
                .await
                .status(),
            api.respond(&nobody, "1").await,
            api.respond("no-uuid", "1").await,
            api.call(Method::POST, "init/error", &[], Bytes::new())
                .await
                .status(),
            api.call(Method::GET, "nowhere", &[], Bytes::new())
                .await
                .status(),
            api.call(Method::DELETE, "invocation/next", &[], Bytes::new())
                .await
                .status(),
        ];
        let told_so_far = told.iter().map(|status| status.as_u16().to_string());
        let answer = told_so_far.collect::<Vec<_>>().join(" ");
        told.push(api.respond(&event.id, answer).await);
        assert_eq!(
            api.respond(&event.id, "2").await,
            StatusCode::FORBIDDEN,
            "answered already"
        );
        assert_eq!(api.fail(&event.id, "3").await, StatusCode::FORBIDDEN);
        let next = api.next().await;
        let old = format!("invocation/{}/response", event.id);
        let refused = api.call(Method::POST, &old, &[], Bytes::new()).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "an old id");
        api.respond(&next.id, refused.into_body()).await;
        api.echo().await
    }));
    let spec = Arc::new(spec());
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(&reply.payload[..], b"403 403 400 400 403 404 405");
    // The runtime does more nonsense before it asks again.
    world.until(|world| world.counts() == (0, 1, 0)).await;
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "InvalidRequestID");
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn garbage_closes_the_connection_and_nothing_else() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        let garbage: &[&[u8]] = &[b"\0\x01\x02\xff garbage\r\n\r\n", &[b'A'; 200_000]];
        for bytes in garbage {
            // The other side may hang up before it has taken everything.
            let _ = socket.write_all(bytes).await;
        }
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
        Exit::Code(2)
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert!(
        json(&reply.payload)["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("exit status 2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_ends_with_the_request() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        socket
            .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut head = vec![0; 4096];
        let count = socket.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..count]).into_owned();
        let id = head
            .split("aws-request-id: ")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        let post = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
        );
        socket.write_all(post.as_bytes()).await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            socket.write_all(b"x").await.unwrap();
        }
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Sandbox.Timedout");
    world.until(|world| world.counts() == (0, 0, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_hangs_up_is_ended_by_the_request_s_time() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        api.respond(&event.id, "1").await;
        let again = api.next().await;
        assert_eq!(&again.body[..], b"2");
        drop(api);
        std::future::pending().await
    }));
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    assert_eq!(
        json(&world.invoke(&spec, "2").await.payload)["errorType"],
        "Sandbox.Timedout"
    );
    world.until(|world| world.counts() == (0, 0, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_answers_and_never_asks_again_is_ended_too() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        api.respond(&event.id, "1").await;
        std::future::pending().await
    }));
    let spec = Arc::new(spec());
    assert_eq!(&world.invoke(&spec, "1").await.payload[..], b"1");
    // The first instance is not given out again.
    assert_eq!(&world.invoke(&spec, "2").await.payload[..], b"1");
    assert_eq!(world.launcher.launches(), 2);
    world.until(|world| world.counts() == (0, 0, 0)).await;
    let log = world.log().await;
    assert_eq!(
        log.iter().filter(|line| line.starts_with("REPORT")).count(),
        2,
        "{log:?}"
    );
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let world = World::new(script(|mut runtime| async move {
        // Both ends of one connection: this one breaks in the middle of the answer, and a runtime that
        // has no other ends with it.
        let mut socket = runtime.socket();
        socket
            .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut head = vec![0; 4096];
        let count = socket.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..count]).into_owned();
        let id = head
            .split("aws-request-id: ")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        let post = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf"
        );
        socket.write_all(post.as_bytes()).await.unwrap();
        drop(socket);
        Exit::Code(1)
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;

    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn two_waiting_requests_of_one_runtime_share_nothing() {
    let world = World::new(script(|mut runtime| async move {
        let mut socket = runtime.socket();
        // Pipelined: the second is read once the first has been answered.
        let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: x\r\n\r\n";
        socket
            .write_all(&[&next[..], &next[..]].concat())
            .await
            .unwrap();
        let mut got = Vec::new();
        while !String::from_utf8_lossy(&got).contains("InvalidStateTransition") {
            assert!(socket.read_buf(&mut got).await.unwrap() > 0);
        }
        Exit::Code(0)
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn a_runtime_that_sends_descriptors_is_ended() {
    let world = World::new(script(|mut runtime| async move {
        let socket = runtime.socket();
        let (sent, kept) = std::os::unix::net::UnixStream::pair().unwrap();
        send_descriptor(&socket, b"GET ", &sent);
        drop(sent);
        // It was closed, and not by us.
        kept.set_nonblocking(true).unwrap();
        let mut kept = tokio::net::UnixStream::from_std(kept).unwrap();
        assert_eq!(kept.read(&mut [0; 1]).await.unwrap(), 0);
        std::future::pending().await
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
    world.until(|world| world.counts() == (0, 0, 0)).await;
}

fn send_descriptor(
    over: &tokio::net::UnixStream,
    bytes: &[u8],
    descriptor: &std::os::unix::net::UnixStream,
) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd;

    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = [descriptor.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
    let bytes = &[std::io::IoSlice::new(bytes)];
    sendmsg(over, bytes, &mut control, SendFlags::empty()).unwrap();
}
