//! What can go wrong with the network.

use std::io;

use super::{NetlinkError, Subnet};

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The name would not fit an interface or a table.
    #[error("the name {name:?} is not made of 1 to 64 lower-case letters, digits and hyphens")]
    Name {
        /// As given.
        name: String,
    },
    /// The command could not be run.
    #[error("cannot run nft: install the package nftables")]
    NftMissing(#[source] io::Error),
    /// The firewall was refused, for instance because the kernel lacks an expression.
    #[error("nft refused the firewall: {message}")]
    Nft {
        /// Its first line.
        message: String,
    },
    /// Links, addresses and routes.
    #[error("cannot configure the network")]
    Netlink(#[from] NetlinkError),
    /// Network namespaces.
    #[error("cannot make or enter a network namespace")]
    Namespace(#[source] io::Error),
    /// A kernel setting.
    #[error("cannot set {path}")]
    Setting {
        /// Below /proc/sys.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Every address tried is in use.
    #[error("no free address in {subnet}")]
    Exhausted {
        /// Where it was looked for.
        subnet: Subnet,
    },
}
