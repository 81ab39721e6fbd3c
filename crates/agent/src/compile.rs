//! Compiling a code package or layer at publish: the runtime image's own compile step, run in a sandbox like any
//! other user code, because what it reads is the user's. Byte code is an optimisation: whatever goes
//! wrong with the code costs the files that are missing and nothing else.

mod frames;

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::Runtime;
use pilotlight_model::error::Causes;
use pilotlight_model::ids::Digest;
use pilotlight_model::node::{Compiled, CompiledFile, Folder, NodeError};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::agent::{Node, internal};
use crate::environment;
use crate::launcher::{CodeKey, Exit, Launch, LaunchError, Launched, RootKey};
use crate::program::c_strings;
use frames::FrameError;

/// Longest run of a compile step.
const TIME: Duration = Duration::from_secs(60);
/// Its memory.
const MEMORY_MB: u32 = 1024;
/// Its `/tmp`.
const TMP_MB: u32 = 64;
/// Bytes of its standard error that are shown.
const STDERR_BYTES: usize = 4 * 1024;

/// Compiles what an image of the user's holds, where instances will see it. Errors are the platform's alone.
pub(crate) async fn run(
    node: &Arc<Node>,
    runtime: Runtime,
    digest: Digest,
    folder: Folder,
) -> Result<Compiled, NodeError> {
    let image = node.image(runtime)?;
    let Some(argv) = &image.compile else {
        return Ok(Compiled {
            files: Vec::new(),
            whole: true,
        });
    };
    let (code, layers) = match folder {
        Folder::Task => (CodeKey::Image(digest.clone()), Vec::new()),
        Folder::Layers => (CodeKey::Empty, vec![digest.clone()]),
    };
    let _turn = node
        .compiles
        .acquire()
        .await
        .map_err(|_| NodeError::Draining)?;
    let launch = Launch {
        owner: None,
        root: RootKey {
            runtime: image.digest.clone(),
            code,
            layers,
        },
        argv: c_strings(argv),
        env: environment::of_compiler(image, folder),
        memory_mb: MEMORY_MB,
        tmp_mb: TMP_MB,
        request_socket: None,
    };
    let slot = node
        .launcher
        .slot()
        .await
        .map_err(|error| internal(&error))?;
    let launched = slot
        .launch(launch)
        .await
        .map_err(|error| internal(&error))?;
    let (files, ended) = collect(launched).await.map_err(|error| internal(&error))?;
    match &ended {
        Ok(()) => tracing::debug!(image = %digest, files = files.len(), "compiled"),
        Err(why) => {
            let why = Causes(why);
            tracing::info!(image = %digest, files = files.len(), %why, "compiled in part");
        }
    }
    Ok(Compiled {
        files,
        whole: ended.is_ok(),
    })
}

/// How a compile step ended, other than well.
#[derive(Debug, thiserror::Error)]
enum Incomplete {
    #[error("it took longer than {} s", TIME.as_secs())]
    TimedOut,
    #[error("it ended with {exit}: {stderr}")]
    Failed { exit: Exit, stderr: String },
    #[error("its output cannot be used")]
    Output(#[from] FrameError),
}

/// Reads what the step puts out until it ends, says something that it may not, or takes too long. What
/// came before stands.
async fn collect(
    launched: Launched,
) -> Result<(Vec<CompiledFile>, Result<(), Incomplete>), LaunchError> {
    let pipe = |end| {
        pipe::Receiver::from_owned_fd(end)
            .map_err(|error| LaunchError::platform("compile pipes", error))
    };
    let (mut stdout, stderr) = (pipe(launched.stdout)?, pipe(launched.stderr)?);
    let process = launched.process;
    let mut files = Vec::new();
    let step = async {
        let (_, said) = tokio::try_join!(frames::read(&mut stdout, &mut files), async {
            Ok(read_some(stderr).await)
        })?;
        match process.wait().await {
            Exit::Code(0) => Ok(()),
            exit => Err(Incomplete::Failed { exit, stderr: said }),
        }
    };
    let ended = timeout(TIME, step)
        .await
        .unwrap_or(Err(Incomplete::TimedOut));
    process.kill();
    Ok((files, ended))
}

/// Reads to the end and keeps the beginning.
async fn read_some(mut pipe: pipe::Receiver) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = STDERR_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
