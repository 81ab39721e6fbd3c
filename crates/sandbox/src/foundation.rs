//! What slots and berths have in common: a sandbox with its network, its control group and its init, which waits for orders.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use crate::channel::{Channel, Received};
use crate::error::SlotError;
use crate::identity::IdMap;
use crate::launcher::Nest;
use crate::message::Report;
use crate::node::{Node, Sandbox};

/// Building a sandbox takes milliseconds; this is for a machine that is badly overloaded.
pub(crate) const BUILD_PATIENCE: Duration = Duration::from_secs(30);

/// What a sandbox's processes, and nobody else, can connect to. Non-blocking.
#[derive(Debug)]
pub struct Listeners {
    /// At 127.0.0.1:9001 inside.
    pub runtime_api: TcpListener,
    /// At 127.0.0.1:9002 inside. Dropped, nobody is there.
    pub inner_door: TcpListener,
}

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
    pub(crate) listeners: Listeners,
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
        let mut ready = hear(&control, &Report::Ready)?;
        let program_pid = hear(&program, &Report::Parked)?.sender.unwrap_or(0);
        let mut listener = || {
            let listener = TcpListener::from(ready.descriptor()?);
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listeners = Listeners {
            runtime_api: listener().map_err(SlotError::Channel)?,
            inner_door: listener().map_err(SlotError::Channel)?,
        };
        Ok(Foundation {
            sandbox,
            control,
            program,
            program_pid,
            listeners,
        })
    }
}

/// Waits for that report; returns who sent it and the descriptors beside it.
pub(crate) fn hear(channel: &Channel, expected: &Report) -> Result<Received, SlotError> {
    let (report, received) = Report::receive(channel).map_err(SlotError::Channel)?;
    match report {
        report if report == *expected => Ok(received),
        Report::Failed(failure) => Err(failure.into()),
        _ => Err(SlotError::Channel(io::ErrorKind::InvalidData.into())),
    }
}
