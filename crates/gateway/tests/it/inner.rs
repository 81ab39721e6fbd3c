//! Inner doors: who comes through one is the account of the version that it belongs to, and may what functions may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::CONNECTION;
use parking_lot::Mutex;
use pilotlight_gateway::{AccessKey, Config, Secret};
use pilotlight_model::function::VersionKey;
use pilotlight_model::node::{Cause, FunctionApi, Inhabitant, Serving};
use pilotlight_model::{RequestId, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::*;

const ACCOUNT: &str = "111111111111";
/// Signed as botocore does it, by the key of another account.
const FOREIGN: &str = "AWS4-HMAC-SHA256 Credential=222222222222/20260101/eu-west-1/lambda/aws4_request, \
                       SignedHeaders=host, Signature=00";

/// An instance of `caller`, and what it has been given to do.
#[derive(Debug, Default)]
struct Instance(Mutex<Option<Cause>>);

impl Serving for Instance {
    fn request(&self) -> Option<Cause> {
        self.0.lock().clone()
    }
}

fn caller() -> VersionKey {
    VersionKey {
        account: ACCOUNT.parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        name: "caller".parse().unwrap(),
        version: Version::Latest,
    }
}

/// Its inner door.
struct Inner {
    address: SocketAddr,
    serving: JoinHandle<()>,
    instance: Arc<Instance>,
}

impl Inner {
    fn open(stage: &Stage, one_answer: bool) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let instance = Arc::new(Instance::default());
        let inhabitant = Inhabitant {
            version: caller(),
            one_answer,
            serving: Arc::clone(&instance) as _,
        };
        let serving = tokio::spawn(stage.door.serve_inside(inhabitant, listener));
        Self {
            address,
            serving,
            instance,
        }
    }
}

fn with_keys() -> Config {
    Config {
        access_keys: vec![AccessKey {
            id: "AKID".to_owned(),
            secret: Secret::new("secret"),
            account: "222222222222".parse().unwrap(),
        }],
        ..Config::default()
    }
}

#[tokio::test]
async fn who_comes_through_is_the_account_of_the_version() {
    for keyed in [false, true] {
        let config = if keyed {
            with_keys()
        } else {
            Config::default()
        };
        let stage = Stage::configured(config).await;
        let inner = Inner::open(&stage, false);
        let mut client = connect(inner.address).await;
        for (headers, region) in [
            (vec![], "us-east-1"),
            (vec![("authorization", FOREIGN)], "eu-west-1"),
            (vec![("host", "222222222222.example")], "us-east-1"),
            (vec![("authorization", "nonsense")], "us-east-1"),
        ] {
            let invoke = request(Method::POST, &invocations("hello"), &headers, "{}");
            assert_eq!(client.send(invoke).await.status(), 200);
            let invoked = stage.fakes.invoked.lock().pop().unwrap();
            assert_eq!(invoked.spec.key.account.to_string(), ACCOUNT);
            assert_eq!(invoked.spec.key.region.to_string(), region);
        }
        // Another account's function only where its policy lets this account in.
        for (name, status) in [("hello", 403), ("shared", 200)] {
            let arn = format!("arn:aws:lambda:eu-west-1:222222222222:function:{name}");
            let headers = [("authorization", FOREIGN)];
            let invoke = request(Method::POST, &invocations(&arn), &headers, "{}");
            assert_eq!(client.send(invoke).await.status(), status, "{name}");
        }
        // What is at the outer door is not changed by all that.
        let outside = stage.invoke(&[("authorization", FOREIGN)], "{}").await;
        assert_eq!(outside.status(), if keyed { 403 } else { 200 });
    }
}

#[tokio::test]
async fn it_leads_to_invocations_alone_unless_the_operator_says_otherwise() {
    let asked = [
        (Method::GET, "/2015-03-31/functions/"),
        (Method::DELETE, "/2015-03-31/functions/hello"),
        (Method::GET, "/schedules"),
        (Method::GET, "/metrics"),
        (Method::GET, "/pilotlight/v1/health"),
        (Method::GET, "/pilotlight/v1/code/0"),
        (
            Method::GET,
            "/pilotlight/url/abcdefghijklmnopqrstuvwxyz012345/",
        ),
    ];
    let stage = Stage::echoing().await;
    let inner = Inner::open(&stage, false);
    let mut client = connect(inner.address).await;
    for (method, path) in &asked {
        let refused = client.send(request(method.clone(), path, &[], "")).await;
        let (status, kind, message) = error(&refused);
        assert_eq!(
            (status, kind.as_str()),
            (403, "AccessDeniedException"),
            "{path}"
        );
        let session = format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/caller/caller is not authorized to perform: "
        );
        assert!(message.starts_with(&session), "{message}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let who = request(
        Method::POST,
        "/",
        &form,
        "Action=GetCallerIdentity&Version=2011-06-15",
    );
    assert_eq!(client.send(who).await.status(), 200);

    let all = Config {
        function_api: FunctionApi::Account,
        ..with_keys()
    };
    let stage = Stage::configured(all).await;
    let inner = Inner::open(&stage, false);
    let mut client = connect(inner.address).await;
    for (method, path) in asked {
        let asked = request(method, path, &[("authorization", FOREIGN)], "");
        let answer = client.send(asked).await;
        assert_eq!(answer.status(), 200, "{path}");
        // The fake control plane tells whom it was asked by.
        assert!(
            String::from_utf8_lossy(answer.body()).contains(ACCOUNT),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_process_that_becomes_a_template_keeps_no_connection() {
    let stage = Stage::echoing().await;
    for (one_answer, closes) in [(true, true), (false, false)] {
        let inner = Inner::open(&stage, one_answer);
        let mut client = connect(inner.address).await;
        let answer = client
            .send(request(Method::POST, &invocations("hello"), &[], "{}"))
            .await;
        assert_eq!(answer.status(), 200);
        let told = answer
            .headers()
            .get(CONNECTION)
            .is_some_and(|it| it == "close");
        assert_eq!(told, closes);
    }
}

#[tokio::test]
async fn connections_are_few_and_end_with_the_instance() {
    let config = Config {
        inner_instance_connections: 2,
        ..Config::default()
    };
    let gate = Arc::new(Notify::new());
    let open = Arc::clone(&gate);
    let behaviour: Behaviour = Arc::new(move |request| {
        let open = Arc::clone(&open);
        Box::pin(async move {
            open.notified().await;
            echo(request).await
        })
    });
    let stage = Stage::start(config, behaviour).await;
    let inner = Inner::open(&stage, false);
    // Two that say nothing: the third waits, and those of another instance do not.
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(inner.address).await.unwrap());
    }
    stage.until_metric("pilotlight_connections", 3.0).await;
    let mut third = TcpStream::connect(inner.address).await.unwrap();
    third
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let other = Inner::open(&stage, false);
    let refused = connect(other.address)
        .await
        .send(request(Method::GET, "/", &[], ""))
        .await;
    assert_eq!(refused.status(), 403);
    let mut first = [0; 1];
    let waits = timeout(Duration::from_millis(50), third.peek(&mut first)).await;
    assert!(waits.is_err(), "the third is served");
    held.pop();
    timeout(Duration::from_secs(60), third.peek(&mut first))
        .await
        .expect("there is room now")
        .unwrap();
    // With the instance all of them end, also one that waits for a function that runs on.
    inner.serving.abort();
    for mut connection in held.into_iter().chain([third]) {
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(60), connection.read_to_end(&mut rest)).await;
        // A reset is an end as well.
        let _ = ended.expect("it ends with the instance");
    }
}

#[tokio::test]
async fn answers_that_nobody_takes_are_not_kept_without_end() {
    // More than the kernel keeps of a connection whose other end takes nothing.
    const ANSWER: usize = 5 << 20;
    // Room for one.
    let config = Config {
        inner_instance_bytes: ANSWER + (ANSWER >> 1),
        ..Config::default()
    };
    let behaviour: Behaviour = Arc::new(|request| {
        let large = Bytes::from(vec![b'1'; ANSWER]);
        Box::pin(async { Ok(reply(request, large)) })
    });
    let stage = Stage::start(config, behaviour).await;
    let inner = Inner::open(&stage, false);
    let invoke = || request(Method::POST, &invocations("hello"), &[], "{}");
    // One by one they are taken, and none is refused.
    let mut client = connect(inner.address).await;
    for _ in 0..3 {
        let answer = client.send(invoke()).await;
        assert_eq!(
            (answer.status().as_u16(), answer.body().len()),
            (200, ANSWER)
        );
    }

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut idle = socket.connect(inner.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n\r\n", invocations("hello"));
    idle.write_all(head.as_bytes()).await.unwrap();
    // Until its answer has begun, of which it takes nothing.
    idle.peek(&mut [0; 1]).await.unwrap();
    let (status, kind, _) = error(&client.send(invoke()).await);
    assert_eq!((status, kind.as_str()), (429, "TooManyRequestsException"));
    // Another instance has room of its own.
    let other = Inner::open(&stage, false);
    assert_eq!(
        connect(other.address).await.send(invoke()).await.status(),
        200
    );
    // What is no longer waited for makes room.
    drop(idle);
    let again = async { while client.send(invoke()).await.status() != 200 {} };
    timeout(Duration::from_secs(60), again)
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn a_call_is_made_for_the_request_that_the_instance_has() {
    let stage = Stage::echoing().await;
    let inner = Inner::open(&stage, false);
    let mut client = connect(inner.address).await;
    let has = Cause {
        version: caller(),
        request_id: RequestId::new(),
        at_ms: 7,
    };
    // In its init it has none; what a header says makes none.
    for given in [None, Some(has)] {
        *inner.instance.0.lock() = given.clone();
        let headers = [(
            "x-amzn-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
        )];
        let invoke = request(Method::POST, &invocations("hello"), &headers, "{}");
        assert_eq!(client.send(invoke).await.status(), 200);
        assert_eq!(stage.fakes.invoked.lock().pop().unwrap().cause, given);
        let headers = [("x-amz-invocation-type", "Event")];
        let invoke = request(Method::POST, &invocations("hello"), &headers, "{}");
        assert_eq!(client.send(invoke).await.status(), 202);
        assert_eq!(stage.fakes.queued.lock().pop().unwrap().cause, given);
    }
    stage.invoke(&[], "{}").await;
    assert_eq!(stage.fakes.invoked.lock().pop().unwrap().cause, None);
}
