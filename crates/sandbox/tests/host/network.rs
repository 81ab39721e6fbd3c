//! Slots connected through a router, with a namespace in the place of the host and one behind it as the outside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pilotlight_sandbox::network::{NetNs, NetworkConfig, Router, SlotNet, Subnet};

const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// A name server on the host itself.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 53);
const HOST_SECOND: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Long enough for three packets through four namespaces; a dropped one takes all of it.
const PATIENCE: Duration = Duration::from_millis(400);

/// A host with two addresses, connected to an outside that also answers at the metadata address.
struct World {
    host: NetNs,
    outside: NetNs,
}

impl World {
    fn new() -> World {
        let world = World {
            host: NetNs::create().unwrap(),
            outside: NetNs::create().unwrap(),
        };
        let outside = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            world.outside.as_fd().as_raw_fd()
        );
        ip(&world.host, "link set lo up");
        ip(
            &world.host,
            &format!("link add out0 type veth peer name out1 netns {outside}"),
        );
        ip(&world.host, &format!("address add {HOST}/24 dev out0"));
        ip(&world.host, "link set out0 up");
        for address in [HOST_SECOND, RESOLVER] {
            ip(&world.host, &format!("address add {address}/32 dev lo"));
        }
        ip(&world.outside, "link set lo up");
        ip(
            &world.outside,
            &format!("address add {OUTSIDE}/24 dev out1"),
        );
        ip(
            &world.outside,
            &format!("address add {LINK_LOCAL}/32 dev out1"),
        );
        ip(&world.outside, "link set out1 up");
        ip(&world.host, &format!("route add {LINK_LOCAL} dev out0"));
        // An outside that sends everything it does not know to the host.
        ip(&world.outside, &format!("route add default via {HOST}"));
        world
    }

    fn router(&self, name: &str) -> Router {
        let config = NetworkConfig {
            name: name.to_owned(),
            subnet: Subnet::DEFAULT,
            resolvers: vec![RESOLVER],
        };
        self.host.enter(|| Router::start(&config)).unwrap().unwrap()
    }
}

/// A slot's namespace, attached.
struct Attached {
    netns: NetNs,
    net: SlotNet,
}

fn attach(router: &mut Router, slot_id: u32) -> Attached {
    let netns = NetNs::create().unwrap();
    let net = router.attach(slot_id, netns.as_fd()).unwrap();
    Attached { netns, net }
}

fn ip(netns: &NetNs, arguments: &str) {
    let output = netns
        .enter(|| Command::new("ip").args(arguments.split(' ')).output())
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A server that greets every caller until it is dropped.
struct Server {
    address: SocketAddrV4,
    netns: NetNs,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(netns: &NetNs, address: Ipv4Addr) -> Server {
        Server::at(netns, SocketAddrV4::new(address, 0))
    }

    /// At a given port, or any for 0.
    fn at(netns: &NetNs, address: SocketAddrV4) -> Server {
        let listener = netns.enter(|| TcpListener::bind(address)).unwrap().unwrap();
        let address = SocketAddrV4::new(*address.ip(), listener.local_addr().unwrap().port());
        let netns = netns.enter(NetNs::current).unwrap().unwrap();
        let thread = thread::spawn(move || {
            // An empty message ends the server.
            while let Ok((mut stream, _)) = listener.accept() {
                stream
                    .set_read_timeout(Some(Duration::from_secs(5)))
                    .unwrap();
                let mut word = [0; 5];
                match stream.read_exact(&mut word) {
                    Ok(()) => stream.write_all(b"hello").unwrap(),
                    Err(_) => break,
                }
            }
        });
        Server {
            address,
            netns,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(
            self.netns
                .enter(|| TcpStream::connect(self.address))
                .unwrap()
                .unwrap(),
        );
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Whether a program in `netns` gets an answer from `server`.
fn reaches(netns: &NetNs, server: SocketAddrV4) -> bool {
    netns
        .enter(|| TcpStream::connect_timeout(&server.into(), PATIENCE).is_ok_and(greets))
        .unwrap()
}

fn greets(mut stream: TcpStream) -> bool {
    let mut word = [0; 5];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut word).is_ok() && word == *b"hello"
}

#[test]
fn an_instance_reaches_the_outside_and_nothing_else() {
    let world = World::new();
    let mut router = world.router("reach");
    let (one, two) = (attach(&mut router, 1), attach(&mut router, 2));
    assert_ne!(one.net.address, two.net.address);

    let outside = Server::start(&world.outside, OUTSIDE);
    assert!(reaches(&one.netns, outside.address));
    assert!(reaches(&two.netns, outside.address));

    // The worst case for "no way in": host and outside know where instances are.
    let uplink = uplink_addresses(&world.host);
    ip(
        &world.host,
        &format!("route add {} via {}", Subnet::DEFAULT, uplink[1]),
    );
    let inside = Server::start(&one.netns, one.net.address);
    assert!(
        reaches(&one.netns, inside.address),
        "the server answers its own namespace"
    );
    assert!(!reaches(&two.netns, inside.address), "another instance");
    assert!(!reaches(&world.host, inside.address), "from the host");
    assert!(!reaches(&world.outside, inside.address), "from the outside");

    for address in [HOST, HOST_SECOND, Ipv4Addr::LOCALHOST] {
        let service = Server::start(&world.host, address);
        assert!(
            reaches(&world.host, service.address),
            "{address} answers the host"
        );
        assert!(
            !reaches(&one.netns, service.address),
            "{address} from an instance"
        );
    }
    let metadata = Server::start(&world.outside, LINK_LOCAL);
    assert!(
        reaches(&world.host, metadata.address),
        "the metadata address answers the host"
    );
    assert!(
        !reaches(&one.netns, metadata.address),
        "the metadata address from an instance"
    );
    drop(metadata);

    // Both ends of the uplink, whose addresses depend on the router's name.
    for address in uplink {
        let server = SocketAddrV4::new(address, 9);
        let refused = one
            .netns
            .enter(|| TcpStream::connect_timeout(&server.into(), PATIENCE))
            .unwrap()
            .unwrap_err();
        assert_eq!(
            refused.kind(),
            std::io::ErrorKind::TimedOut,
            "{address} must not even refuse"
        );
    }
    router.stop().unwrap();
}

#[test]
fn name_servers_are_reached_even_on_the_host_but_for_names_alone() {
    let world = World::new();
    let mut router = world.router("names");
    let slot = attach(&mut router, 1);
    let names = Server::at(&world.host, SocketAddrV4::new(RESOLVER, 53));
    let other_service = Server::at(&world.host, SocketAddrV4::new(RESOLVER, 54));
    let not_configured = Server::at(&world.host, SocketAddrV4::new(HOST, 53));
    assert!(reaches(&slot.netns, names.address));
    for server in [&other_service, &not_configured] {
        assert!(reaches(&world.host, server.address));
        assert!(!reaches(&slot.netns, server.address), "{}", server.address);
    }
    router.stop().unwrap();
}

#[test]
fn a_packet_with_a_false_source_is_dropped() {
    let world = World::new();
    let mut router = world.router("spoof");
    let (one, two) = (attach(&mut router, 1), attach(&mut router, 2));
    let receiver = world.outside.enter(|| UdpSocket::bind((OUTSIDE, 0)));
    let receiver = receiver.unwrap().unwrap();
    let port = receiver.local_addr().unwrap().port();
    let send = |source: Ipv4Addr, message: &str| {
        let sender = one.netns.enter(|| UdpSocket::bind((source, 0)));
        let sent = sender
            .unwrap()
            .unwrap()
            .send_to(message.as_bytes(), (OUTSIDE, port));
        sent.unwrap();
    };

    let unused = Ipv4Addr::new(100, 64, 200, 200);
    for source in [unused, two.net.address, HOST_SECOND] {
        ip(&one.netns, &format!("address add {source}/32 dev eth0"));
        send(source, "false");
    }
    // All take the same way, so that whatever got through comes before this.
    send(one.net.address, "own");
    let mut message = [0; 16];
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = receiver.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"own");
    router.stop().unwrap();
}

#[test]
fn instances_have_no_ipv6_but_their_own_loopback() {
    let world = World::new();
    let mut router = world.router("six");
    let slot = attach(&mut router, 7);
    let addresses = slot
        .netns
        .enter(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"))
        .unwrap()
        .unwrap();
    assert!(
        addresses.lines().all(|line| line.ends_with(" lo")),
        "{addresses}"
    );
    router.stop().unwrap();
}

#[test]
fn an_address_in_use_is_passed_over_and_comes_back_with_its_namespace() {
    let world = World::new();
    let config = NetworkConfig {
        name: "reuse".to_owned(),
        subnet: Subnet::new(Ipv4Addr::new(10, 7, 0, 0), 28).unwrap(),
        resolvers: vec![],
    };
    let mut router = world
        .host
        .enter(|| Router::start(&config))
        .unwrap()
        .unwrap();

    let slots: Vec<Attached> = (0..14).map(|_| attach(&mut router, 3)).collect();
    let mut addresses: Vec<Ipv4Addr> = slots.iter().map(|slot| slot.net.address).collect();
    assert_eq!(addresses[0], Ipv4Addr::new(10, 7, 0, 5));
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 14);
    let netns = NetNs::create().unwrap();
    let full = router.attach(3, netns.as_fd()).unwrap_err();
    assert_eq!(full.to_string(), "no free address in 10.7.0.0/28");

    drop(slots);
    // The kernel deletes namespaces in the background.
    let again = (0..200).find_map(|_| {
        thread::yield_now();
        router
            .attach(3, netns.as_fd())
            .map_err(|_| thread::park_timeout(Duration::from_millis(10)))
            .ok()
    });
    assert!(again.is_some());
    router.stop().unwrap();
}

#[test]
fn nodes_of_one_host_do_not_meet() {
    let world = World::new();
    let (mut first, mut second) = (world.router("first"), world.router("second"));
    let (one, two) = (attach(&mut first, 1), attach(&mut second, 1));
    assert_eq!(one.net.address, two.net.address, "they may share a subnet");
    let outside = Server::start(&world.outside, OUTSIDE);
    let inside = Server::start(&two.netns, two.net.address);
    assert!(reaches(&one.netns, outside.address) && reaches(&two.netns, outside.address));
    assert!(!reaches(
        &one.netns,
        SocketAddrV4::new(two.net.address, inside.address.port())
    ));
    first.stop().unwrap();
    assert!(
        reaches(&two.netns, outside.address),
        "stopping one leaves the other"
    );
    second.stop().unwrap();
}

#[test]
fn stop_leaves_nothing_and_start_sweeps_what_a_crash_left() {
    let world = World::new();
    let before = traces(&world.host);
    world.router("clean").stop().unwrap();
    assert_eq!(traces(&world.host), before);

    // A router that is dropped without stop is what a crash leaves: the table at least.
    drop(world.router("clean"));
    assert_ne!(traces(&world.host), before);
    let mut router = world.router("clean");
    let slot = attach(&mut router, 1);
    let outside = Server::start(&world.outside, OUTSIDE);
    assert!(reaches(&slot.netns, outside.address));
    router.stop().unwrap();
    assert_eq!(traces(&world.host), before);
}

/// Interfaces and firewall of the host.
fn traces(host: &NetNs) -> String {
    let output = |program: &str, arguments: &[&str]| {
        let output = host
            .enter(|| Command::new(program).args(arguments).output())
            .unwrap()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    output("ip", &["-o", "link", "show", "type", "veth"]) + &output("nft", &["list", "ruleset"])
}

/// The host's address on the uplink, and the router's next to it.
fn uplink_addresses(host: &NetNs) -> [Ipv4Addr; 2] {
    let output = host
        .enter(|| {
            Command::new("ip")
                .args(["-o", "-4", "address", "show"])
                .output()
        })
        .unwrap()
        .unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    let line = listing.lines().find(|line| line.contains(" pl-")).unwrap();
    let host = line
        .split_whitespace()
        .nth(3)
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .parse::<Ipv4Addr>()
        .unwrap();
    [host, Ipv4Addr::from(u32::from(host) + 1)]
}
