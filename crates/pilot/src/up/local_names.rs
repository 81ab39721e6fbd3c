//! Whether the programs of this machine find names below `localhost`, which function URLs have. Browsers and curl
//! always do; with glibc it takes a module of systemd's, which containers seldom have.

use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// A name that is like those of function URLs, and none.
const NAME: &str = "names.lambda-url.us-east-1.localhost";
/// Longest wait for a resolver. The modules that know the name answer at once; others may ask a server that is not
/// there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether they do, and find this machine.
pub(super) async fn are_found() -> bool {
    match timeout(PATIENCE, lookup_host((NAME, 80))).await {
        Ok(Ok(addresses)) => {
            let mut addresses = addresses.peekable();
            addresses.peek().is_some() && addresses.all(|address| address.ip().is_loopback())
        }
        Ok(Err(_)) | Err(_) => false,
    }
}
