//! The network of slots, tried in a namespace that stands for the host.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant;

use super::{Check, chain};
use crate::network::{NetNs, NetworkConfig, NetworkError, Router, Subnet, host_resolvers};

pub(super) fn all() -> Vec<Check> {
    let mut checks = vec![router(), forwarding(), name_servers()];
    checks.extend(other_firewall());
    checks
}

/// A router with its firewalls and one slot.
fn router() -> Check {
    const NAME: &str = "slot network";
    match connected() {
        Ok(found) => Check::ok(NAME, found),
        Err(error @ NetworkError::NftMissing(_)) => {
            Check::fail(NAME, chain(&error), "apt-get install nftables")
        }
        Err(error) => Check::fail(
            NAME,
            chain(&error),
            "run as root on a kernel with veth (CONFIG_VETH) and nftables with NAT, fib and connection limits \
             (CONFIG_NF_TABLES_INET, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_INET, CONFIG_NFT_CONNLIMIT)",
        ),
    }
}

fn connected() -> Result<String, NetworkError> {
    let in_place_of_the_host = NetNs::create().map_err(NetworkError::Namespace)?;
    let slot = NetNs::create().map_err(NetworkError::Namespace)?;
    let config = NetworkConfig {
        name: "doctor".to_owned(),
        subnet: Subnet::DEFAULT,
        resolvers: host_resolvers(),
    };
    let connect = || {
        let mut router = Router::start(&config)?;
        let began = Instant::now();
        router.attach(0, slot.as_fd())?;
        let cost = began.elapsed();
        router.stop()?;
        Ok(format!(
            "nftables and veth work, {:.1} ms per slot",
            cost.as_secs_f64() * 1e3
        ))
    };
    in_place_of_the_host
        .enter(connect)
        .map_err(NetworkError::Namespace)?
}

fn forwarding() -> Check {
    const NAME: &str = "ip forwarding";
    match fs::read_to_string("/proc/sys/net/ipv4/ip_forward") {
        Ok(value) if value.trim() == "1" => Check::ok(NAME, "on"),
        Ok(_) => Check::ok(NAME, "off; pilot up sets net.ipv4.ip_forward = 1"),
        Err(error) => Check::fail(NAME, error.to_string(), "mount /proc with /proc/sys/net"),
    }
}

fn name_servers() -> Check {
    const NAME: &str = "name servers";
    let servers = host_resolvers();
    if servers.is_empty() {
        let advice = "functions cannot resolve names: add an IPv4 name server that is not a loopback address to \
                      /etc/resolv.conf";
        return Check::warn(NAME, "none that a function can reach", advice);
    }
    Check::ok(
        NAME,
        servers
            .iter()
            .map(Ipv4Addr::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

/// Another table may drop what ours accept: in nftables the last word is a drop.
fn other_firewall() -> Option<Check> {
    const NAME: &str = "other firewall";
    let chains = chains().ok()?;
    let drops = chains
        .lines()
        .any(|line| line.contains("hook forward") && line.contains("policy drop"));
    let advice = "let functions out, with Docker for instance: iptables -I DOCKER-USER -i pl-+ -j ACCEPT; \
                  iptables -I DOCKER-USER -o pl-+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    drops.then(|| {
        Check::warn(
            NAME,
            "the host drops forwarded packets that no rule accepts",
            advice,
        )
    })
}

fn chains() -> io::Result<String> {
    let output = Command::new("nft")
        .args(["list", "chains"])
        .env("PATH", crate::network::SYSTEM_PATH)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
