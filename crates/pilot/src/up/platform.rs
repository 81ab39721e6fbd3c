//! The parts of the platform, wired: store, sandboxes, agent, control plane, gateway. They know each other
//! only by the traits of [`pilotlight_model::node`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use pilotlight_agent::{Agent, RuntimeImage};
use pilotlight_control::{Control, HotReload, UrlBase};
use pilotlight_gateway::{Admission, Gateway, Records};
use pilotlight_model::Runtime;
use pilotlight_model::node::{FunctionApi, InnerDoor};
use pilotlight_sandbox::Sandboxes;
use pilotlight_store::Store;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::config::Config;
use super::keys::KeySource;
use super::late_door::LateDoor;
use super::signals::Signals;
use super::{file, images, local_names, ready};
use crate::exit::Exit;

/// First of the user ids of all platforms of a machine, in a range that systemd's table of ids leaves
/// unassigned (systemd.io/UIDS-GIDS).
const UIDS: u32 = 1_900_000_000;
/// User ids of one platform: two for each of its sandboxes.
const UIDS_EACH: u32 = 1 << 16;
/// Ranges of user ids that platforms of one machine spread over.
const UID_RANGES: u32 = 3_000;

/// A platform that is ready to serve.
pub(super) struct Platform {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Gateway,
    keys: KeySource,
    control: Arc<Control>,
    agent: Agent,
    sandboxes: Sandboxes,
}

impl Platform {
    /// Builds every part and wires them. `stop` ends the building of images; what was made by then is gone afterwards,
    /// as after every error.
    pub(super) async fn build(config: &Config, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        // First, so that a port that is taken is told before minutes of building images.
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let address = listener.local_addr().context("cannot tell the port")?;

        // Images, sandboxes and names do not need each other.
        let data_dir = config.data_dir.clone();
        let images = spawn_blocking(move || {
            let store = Store::open(&data_dir).context("cannot open the store")?;
            let runtimes = images::find_or_build(&data_dir, &store, &stop)?;
            anyhow::Ok((Arc::new(store), runtimes))
        });
        let sandboxes = Sandboxes::start(sandbox_config(config));
        let url_base = url_base(config, address);
        let (images, sandboxes, url_base) = tokio::join!(images, sandboxes, url_base);
        let sandboxes = sandboxes.context("cannot make sandboxes here: see `pilot doctor`")?;
        let wired = async {
            let (store, runtimes) = images.context("building images was cut off")??;
            Self::wire(
                config,
                listener,
                address,
                store,
                runtimes,
                sandboxes.clone(),
                url_base,
            )
            .await
        };
        let wired = wired.await;
        if wired.is_err() {
            sandboxes.shutdown().await;
        }
        wired
    }

    async fn wire(
        config: &Config,
        listener: TcpListener,
        address: SocketAddr,
        store: Arc<Store>,
        runtimes: BTreeMap<Runtime, RuntimeImage>,
        sandboxes: Sandboxes,
        url_base: Option<UrlBase>,
    ) -> anyhow::Result<Self> {
        let digests = runtimes
            .iter()
            .map(|(&runtime, image)| (runtime, image.digest.clone()))
            .collect();
        let mut control_config =
            pilotlight_control::Config::new(&config.data_dir, url(address), digests);
        control_config.limits = config.limits;
        control_config.key_file = config.key_file();
        control_config.runtime_substitutes = config.runtime_substitutes;
        if let Some(base) = url_base {
            control_config.url_base = base;
        }
        config.asynchronous.apply(&mut control_config);
        let agent_config = pilotlight_agent::Config {
            node: config.node_name.clone(),
            data_dir: config.data_dir.clone(),
            limits: config.limits,
            policy: config.policy.name.clone(),
            event_log: config.policy.event_log(),
            resolv_conf: pilotlight_sandbox::network::resolv_conf(&config.data_dir)
                .context("cannot write the instances' resolv.conf")?,
        };
        // Instances may be there before the gateway is.
        let (opens, inner_door) = LateDoor::new();
        let inner_door = match config.function_api {
            FunctionApi::None => None,
            FunctionApi::Invoke | FunctionApi::Account => {
                Some(Arc::new(inner_door) as Arc<dyn InnerDoor>)
            }
        };
        let agent = Agent::start(
            agent_config,
            Arc::clone(&store),
            runtimes,
            sandboxes.clone(),
            inner_door,
        )
        .context("cannot start the node")?;
        let node = Arc::new(agent.clone());
        let mut keys = KeySource::of(config)?;
        let access_keys = keys.read().context("cannot read the access keys")?;
        control_config.hot_reload = hot_reload(config, keys.open());
        let gateway_config = pilotlight_gateway::Config {
            access_keys,
            ..gateway_config(config)
        };
        let records = Records::new(&gateway_config, config.node_name.clone());
        // The gateway records what clients wait for itself, up to the last byte of the answer.
        let observed = records.observe(node.clone());
        // Whoever invokes functions draws on the same concurrency.
        let admission = Admission::new();
        let admit = Arc::new(admission.clone());
        let control = Control::open(control_config, store, observed, admit, agent.logs())
            .await
            .context("cannot open the catalog")?;
        records.add_metrics(|registry| control.metrics().register(registry));
        let gateway = Gateway::new(
            gateway_config,
            records,
            admission,
            control.clone(),
            node,
            control.clone(),
            control.clone(),
        );
        opens.open(gateway.clone());
        Ok(Self {
            listener,
            address,
            gateway,
            keys,
            control,
            agent,
            sandboxes,
        })
    }

    /// Takes down what has not served yet.
    pub(super) async fn abandon(self) {
        self.control.drain(Duration::ZERO).await;
        self.agent.drain(Duration::ZERO).await;
        self.sandboxes.shutdown().await;
    }

    /// Under which clients on this machine reach the API.
    pub(super) fn url(&self) -> String {
        url(self.address)
    }

    /// Serves until the first signal, then drains within `drain`. A second signal ends it at once.
    pub(super) async fn run(self, mut signals: Signals, drain: Duration) -> Exit {
        let begun = Cell::new(None);
        let (stop, stopped) = oneshot::channel();
        let supervise = async {
            signals.next().await;
            tracing::info!(drain_s = drain.as_secs(), "draining");
            ready::notify("STOPPING=1");
            begun.set(Some(Instant::now()));
            // Who serves is gone only when all is done.
            let _ = stop.send(());
            signals.next().await;
        };
        let serve = async {
            let asked = async {
                let _ = stopped.await;
            };
            tokio::select! {
                _ = self.gateway.serve(self.listener, asked) => {}
                () = self.keys.follow(self.gateway.clone()) => {}
            }
            let deadline = begun.get().unwrap_or_else(Instant::now) + drain;
            let left = || deadline.saturating_duration_since(Instant::now());
            // Events that run now are delivered; the others wait on disk for the next start.
            self.control.drain(left()).await;
            self.agent.drain(left()).await;
            self.sandboxes.shutdown().await;
        };
        tokio::select! {
            () = serve => {
                tracing::info!("stopped");
                Exit::Done
            }
            () = supervise => {
                tracing::warn!("second signal: ending at once");
                Exit::Failed
            }
        }
    }
}

/// One that listens everywhere is reached on loopback too.
fn url(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// Where function URLs are shown, if it is not below `localhost`.
async fn url_base(config: &Config, address: SocketAddr) -> Option<UrlBase> {
    if config.function_url_base.is_some() || local_names::are_found().await {
        return config.function_url_base.clone();
    }
    tracing::info!("names below localhost are not found here: function URLs are shown by path");
    Some(UrlBase::by_path(&url(address)))
}

fn hot_reload(config: &Config, open: Arc<AtomicBool>) -> HotReload {
    match &config.hot_reload {
        // Who is nobody's key, as functions are not, must not choose folders of this machine.
        None if config.function_api == FunctionApi::Account => HotReload::Never,
        None => HotReload::While(open),
        Some(file::HotReload::Switch(true)) => HotReload::Any(open),
        Some(file::HotReload::Switch(false)) => HotReload::Never,
        Some(file::HotReload::Within(roots)) => HotReload::Within(roots.clone()),
    }
}

fn sandbox_config(config: &Config) -> pilotlight_sandbox::Config {
    let id = Sha256::digest(config.data_dir.as_os_str().as_bytes());
    let number = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    pilotlight_sandbox::Config {
        name: format!("{number:08x}"),
        pool_size: config.pool_size as usize,
        max_slots: config.most_slots(),
        uid_base: UIDS + number % UID_RANGES * UIDS_EACH,
        subnet: (config.subnet.network, config.subnet.prefix),
    }
}

fn gateway_config(config: &Config) -> pilotlight_gateway::Config {
    pilotlight_gateway::Config {
        drain: config.drain,
        otlp_endpoint: config.otlp_endpoint.clone(),
        function_api: config.function_api,
        ..pilotlight_gateway::Config::default()
    }
}
