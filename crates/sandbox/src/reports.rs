//! Hearing what a sandbox's processes report.

use std::io;

use tokio::io::unix::AsyncFd;

use crate::channel::{Channel, Received};
use crate::message::{MAX_SHORT_BYTES, Report};

/// The next report, or none at the channel's end.
pub(crate) async fn receive(channel: &AsyncFd<Channel>) -> io::Result<Option<Report>> {
    let received = receive_all(channel).await?;
    Ok(received.map(|(report, _)| report))
}

/// The next report and what is beside it, or none at the channel's end.
pub(crate) async fn receive_all(
    channel: &AsyncFd<Channel>,
) -> io::Result<Option<(Report, Received)>> {
    let mut buffer = [0; MAX_SHORT_BYTES];
    loop {
        let mut readable = channel.readable().await?;
        match readable.try_io(|channel| channel.get_ref().receive(&mut buffer)) {
            Ok(received) => {
                let received = received?;
                return match received.length {
                    0 => Ok(None),
                    length => Ok(Some((Report::decode(&buffer[..length])?, received))),
                };
            }
            Err(_would_block) => {}
        }
    }
}
