//! The firewall, as nftables scripts. Both tables are written once, at start: no rule names a slot, so attaching
//! one costs no nftables transaction and the rules do not grow.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use super::{NetworkError, Subnet};

/// Where system programs are: a service manager's own PATH may lack the sbin folders.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The router's only way out.
pub(super) const UPLINK: &str = "uplink";

/// Concurrent connections an instance may have: several times what its file descriptors allow, and far from what
/// would fill the connection table that all share.
const FLOWS_PER_INSTANCE: u32 = 2048;

/// Services that clouds offer at addresses outside 169.254.0.0/16: Alibaba's metadata, Azure's wire server.
const METADATA: [Ipv4Addr; 2] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// What the router lets pass: instances may start connections to the outside, and nothing else happens.
///
/// Name servers come before the refused addresses, because clouds put theirs at link-local ones.
pub(super) fn router_table(subnet: Subnet, resolvers: &[Ipv4Addr]) -> String {
    let resolver_rule = resolver_rule(resolvers);
    let [alibaba, azure] = METADATA;
    format!(
        r#"table inet pilotlight {{
  set refused {{
    type ipv4_addr; flags interval; auto-merge
    elements = {{ 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, {alibaba}, {azure}, {subnet} }}
  }}
  set flows {{ type ipv4_addr; size 65535; flags dynamic; }}
  chain no_spoofing {{
    type filter hook prerouting priority raw; policy accept;
    meta nfproto ipv6 drop
    iifname != "{UPLINK}" fib saddr . iif oif missing drop
  }}
  chain input {{
    type filter hook input priority filter; policy drop;
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{UPLINK}" drop
    oifname != "{UPLINK}" drop
    ct state != new drop
    add @flows {{ ip saddr ct count over {FLOWS_PER_INSTANCE} }} drop
    {resolver_rule}
    ip daddr @refused drop
    accept
  }}
  chain source {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{UPLINK}" masquerade
  }}
}}
"#
    )
}

/// What the host lets the router do: reach everything but the host. The check comes before destination NAT, so that
/// ports which a container engine publishes on the host's addresses count as the host's too.
pub(super) fn host_table(
    table: &str,
    uplink: &str,
    router: Ipv4Addr,
    resolvers: &[Ipv4Addr],
) -> String {
    let resolver_rule = resolver_rule(resolvers);
    format!(
        r#"table inet {table} {{}}
delete table inet {table}
table inet {table} {{
  chain from_router {{
    type filter hook prerouting priority mangle; policy accept;
    iifname != "{uplink}" accept
    ip saddr != {router} drop
    meta nfproto ipv6 drop
    {resolver_rule}
    fib daddr type != unicast drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname != "{uplink}" accept
    {resolver_rule}
    drop
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    oifname "{uplink}" ct state established,related accept
    oifname "{uplink}" drop
  }}
  chain source {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {router} oifname != "{uplink}" masquerade
  }}
}}
"#
    )
}

/// Deletes the table, which need not exist.
pub(super) fn no_table(table: &str) -> String {
    format!("table inet {table} {{}}\ndelete table inet {table}\n")
}

/// Applies a script in the network namespace of the calling thread: all of it or nothing.
pub(super) fn apply(script: &str) -> Result<(), NetworkError> {
    let output = run(script).map_err(NetworkError::NftMissing)?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr)
        .lines()
        .next()
        .unwrap_or("no message")
        .to_owned();
    Err(NetworkError::Nft { message })
}

fn run(script: &str) -> io::Result<std::process::Output> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .env("PATH", SYSTEM_PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // A broken pipe means that nft gave up early; its status and message say why. Dropping the pipe ends the input.
    if let Some(mut stdin) = nft.stdin.take() {
        let _ = stdin.write_all(script.as_bytes());
    }
    nft.wait_with_output()
}

fn resolver_rule(resolvers: &[Ipv4Addr]) -> String {
    if resolvers.is_empty() {
        return String::new();
    }
    let list: Vec<String> = resolvers.iter().map(Ipv4Addr::to_string).collect();
    format!(
        "ip daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 accept",
        list.join(", ")
    )
}
