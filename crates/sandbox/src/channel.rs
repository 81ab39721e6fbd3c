//! Messages between the agent, the launcher and the processes of a sandbox: datagrams on a pair of connected sockets,
//! with descriptors beside the bytes. The end of the other side is the end of the channel: nobody outlives the agent.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_passcred, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Descriptors that one message can carry.
pub(crate) const MAX_DESCRIPTORS: usize = 16;

/// Whether the other ends of all are there still, as far as can be seen without waiting.
pub(crate) fn are_open<E: AsFd, const N: usize>(ends: [&E; N]) -> bool {
    let mut ends = ends.map(|end| PollFd::new(end, PollFlags::empty()));
    matches!(poll(&mut ends, Some(&Timespec::default())), Ok(0))
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What was received beside the bytes.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How much of the buffer was filled; 0 is the end of the channel.
    pub(crate) length: usize,
    /// In the order in which they were sent.
    pub(crate) descriptors: [Option<OwnedFd>; MAX_DESCRIPTORS],
    /// The sender's process id, where [`Channel::ask_for_sender`] asked for it.
    pub(crate) sender: Option<i32>,
}

impl Received {
    /// The next descriptor.
    pub(crate) fn descriptor(&mut self) -> io::Result<OwnedFd> {
        let next = self.descriptors.iter_mut().find_map(Option::take);
        next.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a descriptor is missing"))
    }
}

impl Channel {
    /// Two connected ends.
    pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Channel(one), Channel(other)))
    }

    /// Takes over a socket that was made elsewhere.
    pub(crate) fn from_socket(socket: OwnedFd) -> Channel {
        Channel(socket)
    }

    /// Gives up on waiting after so long.
    pub(crate) fn set_deadline(&self, wait: Option<Duration>) -> io::Result<()> {
        Ok(set_socket_timeout(&self.0, Timeout::Recv, wait)?)
    }

    /// From now on each message received says which process sent it.
    pub(crate) fn ask_for_sender(&self) -> io::Result<()> {
        Ok(set_socket_passcred(&self.0, true)?)
    }

    /// Sends one message. Does not allocate.
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(
            &self.0,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Receives one message; one that does not fit is an error. Does not allocate.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit();
            rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            match recvmsg(
                &self.0,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result?,
            }
        };
        let mut received = Received {
            length: message.bytes,
            ..Received::default()
        };
        for part in control.drain() {
            match part {
                RecvAncillaryMessage::ScmRights(rights) => {
                    for (place, descriptor) in received.descriptors.iter_mut().zip(rights) {
                        *place = Some(descriptor);
                    }
                }
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    received.sender = Some(sender.pid.as_raw_nonzero().get())
                }
                _ => {}
            }
        }
        if message
            .flags
            .intersects(rustix::net::ReturnFlags::TRUNC | rustix::net::ReturnFlags::CTRUNC)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the message is too long",
            ));
        }
        Ok(received)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.0
    }
}
