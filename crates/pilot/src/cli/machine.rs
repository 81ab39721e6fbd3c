//! The commands that work on the machine of a platform, and not through its API: up, keys and doctor.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pilotlight_model::AccountId;

use super::Format;

/// Options of `pilot up`. What is not given comes from the file, and what is not there from the defaults.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo pilot up
  sudo pilot up --listen 127.0.0.1:0 --data-dir /tmp/pilot --ready-file /tmp/pilot.url
  pilot up --print-config > pilot.toml           every setting with its value, to edit and feed back
  sudo pilot up --config pilot.toml

Options win over environment variables, these over the file, and the file over the defaults.
SIGTERM drains: requests in flight finish, up to drain_seconds. A second signal ends at once.")]
pub(crate) struct UpArgs {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "PILOTLIGHT_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Folder for everything that must survive.
    #[arg(long, env = "PILOTLIGHT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file (TOML). A key that is not known is an error.
    #[arg(long, env = "PILOTLIGHT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the effective configuration (secrets included) as TOML, and exit.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Write the API's URL to this file once the platform is ready.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

impl UpArgs {
    /// Nothing but where its data and its configuration are.
    pub(crate) fn at(data_dir: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        Self {
            listen: None,
            data_dir,
            config,
            print_config: false,
            ready_file: None,
        }
    }
}

/// Options of `pilot keys`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo pilot keys create --description ci
  eval \"$(sudo pilot keys create --account 210987654321 --output env)\"
  sudo pilot keys ls
  sudo pilot keys delete AKIAXXXXXXXXXXXXXXXX

Works on the data directory, whether or not the platform runs; it takes a change up within a second. From the
first key on, every request must be signed. A secret is shown once, when its key is made.")]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) action: KeysAction,
    /// Folder of the platform's data.
    #[arg(long, env = "PILOTLIGHT_DATA_DIR", value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file of the platform.
    #[arg(long, env = "PILOTLIGHT_CONFIG", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// What `pilot keys` does.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// Make a key, and show its secret.
    Create {
        /// Account that requests signed with it act for; accounts see nothing of each other.
        #[arg(long, value_name = "12 DIGITS", default_value_t)]
        account: AccountId,
        /// What it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// How to print: `env` are lines for a shell.
        #[arg(long, value_enum, default_value = "table")]
        output: KeyFormat,
    },
    /// List the keys, without their secrets.
    Ls {
        /// How to print.
        #[arg(long, value_enum, default_value = "table")]
        output: Format,
    },
    /// Delete a key. Requests signed with it are refused from then on.
    Delete {
        /// Its id.
        id: String,
    },
}

/// How a new key is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// As variables of a shell.
    Env,
}

/// Options of `pilot doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  sudo pilot doctor

Exit code 1: something that functions need does not work. Each such line says what to do.")]
pub(crate) struct DoctorArgs {
    /// Folder that the platform would use.
    #[arg(long, env = "PILOTLIGHT_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file that the platform would use.
    #[arg(long, env = "PILOTLIGHT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}
