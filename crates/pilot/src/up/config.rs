//! What `pilot up` runs with: command line, environment, file and defaults resolved once into plain
//! values. Every default is here or in [`Limits`].

pub(crate) mod asynchronous;
mod check;
mod error;
pub(crate) mod policy;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilotlight_control::{
    AccessKeys, InvalidUrlBase, KEY_FILE, SealingKey, SealingKeyError, UrlBase,
};
use pilotlight_gateway::{Endpoint, InvalidEndpoint, refuse_open_listen};
use pilotlight_model::limits::{DEFAULT_DRAIN, Limits};
use pilotlight_model::node::FunctionApi;

use asynchronous::Asynchronous;
pub(crate) use error::InvalidConfig;
use error::value;
use policy::PolicyConfig;

use super::file::{AccessKey, File, HotReload, LimitsTable, LogFormat};
use crate::cli::UpArgs;

/// The effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// Everything that must survive.
    pub(crate) data_dir: PathBuf,
    /// Key that secrets at rest are sealed with; in the data directory unless given.
    pub(crate) key_file: Option<PathBuf>,
    /// Where function URLs are shown to be; below `localhost` unless given.
    pub(crate) function_url_base: Option<UrlBase>,
    /// Name of this node in start records and traces.
    pub(crate) node_name: String,
    /// Addresses of the instances: network and prefix length.
    pub(crate) subnet: Subnet,
    /// Empty sandboxes that wait for a start.
    pub(crate) pool_size: u32,
    /// How long the requests in flight may go on after SIGTERM.
    pub(crate) drain: Duration,
    /// How the platform's own log is written.
    pub(crate) log_format: LogFormat,
    /// What it tells: a level, or `target=level` pairs.
    pub(crate) log_filter: String,
    /// Collector of traces (OTLP over HTTP).
    pub(crate) otlp_endpoint: Option<Endpoint>,
    /// Which folders functions may be loaded from as they change; absent, any while the platform is open.
    pub(crate) hot_reload: Option<HotReload>,
    /// Whether functions may be configured with other versions of the runtimes that are here.
    pub(crate) runtime_substitutes: bool,
    /// What functions may do with the platform's own API.
    pub(crate) function_api: FunctionApi,
    /// Who may call; empty is open, on loopback only.
    pub(crate) access_keys: Vec<AccessKey>,
    /// Limits of the installation.
    pub(crate) limits: Limits,
    /// What is kept for requests to come.
    pub(crate) policy: PolicyConfig,
    /// How asynchronous invocations are done.
    pub(crate) asynchronous: Asynchronous,
}

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) network: Ipv4Addr,
    pub(crate) prefix: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
            data_dir: PathBuf::from("/var/lib/pilotlight"),
            key_file: None,
            function_url_base: None,
            node_name: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            subnet: Subnet {
                network: Ipv4Addr::new(100, 64, 0, 0),
                prefix: 16,
            },
            pool_size: 16,
            drain: DEFAULT_DRAIN,
            log_format: LogFormat::Text,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            hot_reload: None,
            runtime_substitutes: true,
            function_api: FunctionApi::default(),
            access_keys: Vec::new(),
            limits: Limits::default(),
            policy: PolicyConfig::default(),
            asynchronous: Asynchronous::default(),
        }
    }
}

impl Config {
    /// Resolves options, file and defaults, and refuses what cannot work.
    pub(crate) fn resolve(args: &UpArgs) -> Result<Self, InvalidConfig> {
        let Some(path) = &args.config else {
            return Self::of(args, File::default());
        };
        let text = read(path)?;
        let file = toml::from_str(&text).map_err(|error| InvalidConfig::Malformed {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Self::of(args, file).map_err(|error| error.placed(path, &text))
    }

    fn of(args: &UpArgs, file: File) -> Result<Self, InvalidConfig> {
        let mut config = Self::default().with(file)?;
        if let Some(listen) = args.listen {
            config.listen = listen;
        }
        if let Some(data_dir) = &args.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        config.data_dir = std::path::absolute(&config.data_dir)
            .map_err(|error| value("data_dir", error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The defaults, overridden by what a file says.
    pub(super) fn with(self, file: File) -> Result<Self, InvalidConfig> {
        let subnet = match file.subnet {
            Some(text) => parse_subnet(&text).ok_or_else(|| {
                value(
                    "subnet",
                    format!("'{text}' is not a network such as 100.64.0.0/16"),
                )
            })?,
            None => self.subnet,
        };
        let function_url_base =
            match file.function_url_base {
                Some(text) => Some(text.parse().map_err(|error: InvalidUrlBase| {
                    value("function_url_base", error.to_string())
                })?),
                None => self.function_url_base,
            };
        let otlp_endpoint = match file.otlp_endpoint {
            Some(text) => Some(
                text.parse()
                    .map_err(|error: InvalidEndpoint| value("otlp_endpoint", error.to_string()))?,
            ),
            None => self.otlp_endpoint,
        };
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        let table = file.limits.unwrap_or_default();
        let limits = Limits {
            account_concurrency: table
                .account_concurrency
                .unwrap_or(self.limits.account_concurrency),
            node_memory_mb: table.node_memory_mb.unwrap_or(self.limits.node_memory_mb),
            node_instances: table.node_instances.unwrap_or(self.limits.node_instances),
            concurrent_starts: table
                .concurrent_starts
                .unwrap_or(self.limits.concurrent_starts),
            waiting_invocations: table
                .waiting_invocations
                .unwrap_or(self.limits.waiting_invocations),
            keep_alive: seconds(file.keep_alive_seconds, self.limits.keep_alive),
            queued_events: table.queued_events.unwrap_or(self.limits.queued_events),
            log_group_bytes: table.log_group_bytes.unwrap_or(self.limits.log_group_bytes),
            account_log_bytes: table
                .account_log_bytes
                .unwrap_or(self.limits.account_log_bytes),
            functions: table.functions.unwrap_or(self.limits.functions),
        };
        Ok(Self {
            listen: file.listen.unwrap_or(self.listen),
            data_dir: file.data_dir.unwrap_or(self.data_dir),
            key_file: file.key_file.or(self.key_file),
            function_url_base,
            node_name: file.node_name.unwrap_or(self.node_name),
            subnet,
            pool_size: file.pool_size.unwrap_or(self.pool_size),
            drain: seconds(file.drain_seconds, self.drain),
            log_format: file.log_format.unwrap_or(self.log_format),
            log_filter: file.log_filter.unwrap_or(self.log_filter),
            otlp_endpoint,
            hot_reload: file.hot_reload.or(self.hot_reload),
            runtime_substitutes: file.runtime_substitutes.unwrap_or(self.runtime_substitutes),
            function_api: file.function_api.unwrap_or(self.function_api),
            access_keys: file.access_keys.unwrap_or(self.access_keys),
            limits,
            policy: self
                .policy
                .with(file.policy, file.keep_alive_seconds.is_some()),
            asynchronous: self
                .asynchronous
                .with(file.asynchronous, file.destinations)?,
        })
    }

    /// Refuses to be reached by others where nobody would have to sign.
    pub(crate) fn check_listen(&self) -> Result<(), InvalidConfig> {
        let keyed = !self.access_keys.is_empty() || AccessKeys::exist(&self.data_dir);
        refuse_open_listen(self.listen, keyed).map_err(|refused| {
            let how = "`pilot keys create`, or [[access_keys]] in the configuration file";
            value("listen", format!("{refused} ({how})"))
        })
    }

    /// Where the key for secrets at rest is.
    pub(crate) fn key_file(&self) -> PathBuf {
        let unless_told = || self.data_dir.join(KEY_FILE);
        self.key_file.clone().unwrap_or_else(unless_told)
    }

    /// Whether its file holds what nobody else may read.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.access_keys.is_empty()
    }

    /// The access keys in the data directory.
    pub(crate) fn stored_keys(&self) -> Result<AccessKeys, SealingKeyError> {
        let sealing = SealingKey::open(&self.key_file())?;
        Ok(AccessKeys::new(&self.data_dir, sealing))
    }

    /// The same as a file that would give it.
    pub(crate) fn to_file(&self) -> File {
        let Limits {
            account_concurrency,
            node_memory_mb,
            node_instances,
            concurrent_starts,
            waiting_invocations,
            keep_alive,
            queued_events,
            log_group_bytes,
            account_log_bytes,
            functions,
        } = self.limits;
        let (asynchronous, destinations) = self.asynchronous.to_tables();
        File {
            listen: Some(self.listen),
            data_dir: Some(self.data_dir.clone()),
            key_file: self.key_file.clone(),
            function_url_base: self.function_url_base.as_ref().map(UrlBase::to_string),
            node_name: Some(self.node_name.clone()),
            subnet: Some(format!("{}/{}", self.subnet.network, self.subnet.prefix)),
            pool_size: Some(self.pool_size),
            keep_alive_seconds: Some(keep_alive.as_secs()),
            drain_seconds: Some(self.drain.as_secs()),
            log_format: Some(self.log_format),
            log_filter: Some(self.log_filter.clone()),
            hot_reload: self.hot_reload.clone(),
            runtime_substitutes: Some(self.runtime_substitutes),
            function_api: Some(self.function_api),
            otlp_endpoint: self.otlp_endpoint.as_ref().map(Endpoint::to_string),
            limits: Some(LimitsTable {
                account_concurrency: Some(account_concurrency),
                node_memory_mb: Some(node_memory_mb),
                node_instances: Some(node_instances),
                concurrent_starts: Some(concurrent_starts),
                waiting_invocations: Some(waiting_invocations),
                queued_events: Some(queued_events),
                log_group_bytes: Some(log_group_bytes),
                account_log_bytes: Some(account_log_bytes),
                functions: Some(functions),
            }),
            policy: Some(self.policy.to_table()),
            asynchronous: Some(asynchronous),
            destinations: (!destinations.is_empty()).then_some(destinations),
            // An empty list would not let one be appended as a table.
            access_keys: (!self.access_keys.is_empty()).then(|| self.access_keys.clone()),
        }
    }

    /// Sandboxes that may be there at one time. For each instance there may be one that is kept for starts to come (a
    /// spare or a template), with an empty one beside it; and what ends takes a while to be deleted, while its
    /// successor is there already.
    pub(crate) fn most_slots(&self) -> u32 {
        4 * self.limits.node_instances + self.pool_size
    }
}

fn read(path: &Path) -> Result<String, InvalidConfig> {
    std::fs::read_to_string(path).map_err(|source| InvalidConfig::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn parse_subnet(text: &str) -> Option<Subnet> {
    let (network, prefix) = text.split_once('/')?;
    Some(Subnet {
        network: network.parse().ok()?,
        prefix: prefix.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
