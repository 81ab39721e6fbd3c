//! Name servers for instances: the host's, as far as an instance can reach them.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// As many as the C library reads.
const MAX_SERVERS: usize = 3;

/// Where the host's name servers are told, in the order of our preference. The second is systemd-resolved's list
/// of the real servers behind its stub at 127.0.0.53.
const SOURCES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The host's IPv4 name servers outside its loopback, at most three; empty when there are none.
#[must_use]
pub fn host_resolvers() -> Vec<Ipv4Addr> {
    usable_source()
        .map(|content| servers(&content))
        .unwrap_or_default()
}

/// Writes `<data_dir>/resolv.conf` for instances: the host's search domains and options with
/// [`host_resolvers`]. With no usable name server the file has none: names then do not resolve inside.
///
/// # Errors
/// The file cannot be written.
pub fn resolv_conf(data_dir: &Path) -> io::Result<PathBuf> {
    let path = data_dir.join("resolv.conf");
    let content = for_instances(&usable_source().unwrap_or_default());
    // A node starts on a full disk too.
    if !fs::read(&path).is_ok_and(|there| there == content.as_bytes()) {
        let fresh = data_dir.join("resolv.conf.new");
        fs::write(&fresh, content)?;
        fs::rename(&fresh, &path)?;
    }
    Ok(path)
}

fn usable_source() -> Option<String> {
    let contents = SOURCES
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    contents
        .into_iter()
        .find(|content| !servers(content).is_empty())
}

fn servers(content: &str) -> Vec<Ipv4Addr> {
    let addresses = content
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = addresses.filter_map(|rest| rest.trim().parse::<Ipv4Addr>().ok());
    addresses
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .take(MAX_SERVERS)
        .collect()
}

fn for_instances(content: &str) -> String {
    let settings = content.lines().map(str::trim);
    let settings =
        settings.filter(|line| line.starts_with("search ") || line.starts_with("options "));
    let servers = servers(content)
        .into_iter()
        .map(|address| format!("nameserver {address}"));
    let lines = settings.map(str::to_owned).chain(servers);
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_an_instance_can_reach_are_kept() {
        let host = "# made by hand\nnameserver 127.0.0.53\nnameserver fd00::1\nnameserver\t192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\nsearch corp.example\noptions edns0\n";
        assert_eq!(
            for_instances(host),
            "search corp.example\noptions edns0\nnameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
        );
        assert!(servers("nameserver 127.0.0.1\n").is_empty());
    }
}
