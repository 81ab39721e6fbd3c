//! What slots and berths have in common: a sandbox with its network, its control group and its init, which waits for orders.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::error::SlotError;
use crate::identity::IdMap;
use crate::launcher::Nest;
use crate::message::Report;
use crate::node::{Node, Sandbox};

/// Building a sandbox takes milliseconds; this is for a machine that is badly overloaded.
pub(crate) const BUILD_PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox that is built. Its channels block, and give up after [`BUILD_PATIENCE`].
#[derive(Debug)]
pub(crate) struct Foundation {
    pub(crate) sandbox: Sandbox,
    /// To init.
    pub(crate) control: Channel,
    /// To the process that becomes the program, or, in a nest, holds its user namespace.
    pub(crate) program: Channel,
    /// That process's id on the host.
    pub(crate) program_pid: i32,
    /// At 127.0.0.1:9001 inside, non-blocking.
    pub(crate) runtime_api: TcpListener,
}

impl Foundation {
    /// Builds one whose user namespace has those ids, inside a template if there is a nest. Blocks.
    pub(crate) fn lay(
        node: &Arc<Node>,
        ids: &IdMap,
        nest: Option<Nest<'_>>,
    ) -> Result<Foundation, SlotError> {
        let (sandbox, [control, program]) = Sandbox::build(node, ids, nest)?;
        for channel in [&control, &program] {
            channel
                .set_deadline(Some(BUILD_PATIENCE))
                .map_err(SlotError::Channel)?;
        }
        let (_, runtime_api) = hear(&control, &Report::Ready)?;
        let (program_pid, _) = hear(&program, &Report::Parked)?;
        let missing = || SlotError::Channel(io::ErrorKind::InvalidData.into());
        let runtime_api = TcpListener::from(runtime_api.ok_or_else(missing)?);
        runtime_api
            .set_nonblocking(true)
            .map_err(SlotError::Channel)?;
        Ok(Foundation {
            sandbox,
            control,
            program,
            program_pid,
            runtime_api,
        })
    }
}

/// Waits for that report; returns who sent it and the descriptor beside it.
pub(crate) fn hear(
    channel: &Channel,
    expected: &Report,
) -> Result<(i32, Option<OwnedFd>), SlotError> {
    let (report, mut received) = Report::receive(channel).map_err(SlotError::Channel)?;
    match report {
        report if report == *expected => {
            Ok((received.sender.unwrap_or(0), received.descriptor().ok()))
        }
        Report::Failed(failure) => Err(failure.into()),
        _ => Err(SlotError::Channel(io::ErrorKind::InvalidData.into())),
    }
}
