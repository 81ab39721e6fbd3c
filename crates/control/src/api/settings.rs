//! What can be configured of a function: read from CreateFunction and UpdateFunctionConfiguration, judged,
//! and written over what was there.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use pilotlight_model::logging::LogFormat;
use pilotlight_model::runtime::Offer;
use pilotlight_model::{LambdaError, SnapStart, VersionKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::layers::attach;
use super::logging::LoggingChanges;
use super::{event_invoke, invalid, rules};
use crate::catalog::Session;
use crate::catalog::record::{Environment, Settings};
use crate::packages::Package;

/// What can be configured at creation and changed later. What is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Changes {
    runtime: Option<String>,
    role: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout: Option<u32>,
    memory_size: Option<u32>,
    environment: Option<Variables>,
    tracing_config: Option<Mode>,
    layers: Option<Vec<String>>,
    ephemeral_storage: Option<Size>,
    snap_start: Option<ApplyOn>,
    logging_config: Option<LoggingChanges>,
    dead_letter_config: Option<DeadLetter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Variables {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mode {
    mode: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    size: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApplyOn {
    apply_on: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetter {
    target_arn: Option<String>,
}

impl Changes {
    /// The settings of a new function: the defaults, and what is given.
    pub(super) fn first(&self, name: &str, offer: &Offer) -> Result<Settings, LambdaError> {
        let runtime = self.runtime.as_deref().ok_or_else(|| {
            invalid("Runtime is mandatory for functions created with deployment packages.")
        })?;
        if self.handler.is_none() {
            return Err(no_handler());
        }
        let mut settings = Settings {
            runtime: rules::runtime(runtime, offer)?,
            handler: String::new(),
            role: String::new(),
            description: String::new(),
            memory_mb: 128,
            timeout_s: 3,
            ephemeral_storage_mb: 512,
            environment: None,
            tracing_mode: "PassThrough".to_owned(),
            log_group: format!("/aws/lambda/{name}"),
            log_format: LogFormat::Text,
            snap_start: SnapStart::Auto,
            dead_letter: None,
            code_sha256: String::new(),
            code_size: 0,
            live_code: None,
            code_unpacked_bytes: 0,
            layers: Vec::new(),
            modified_ms: 0,
        };
        self.apply(&mut settings, offer)?;
        Ok(settings)
    }

    /// Writes what is given over `settings`, once all of it is known to be right.
    pub(super) fn apply(&self, settings: &mut Settings, offer: &Offer) -> Result<(), LambdaError> {
        if self.handler.as_deref() == Some("") {
            return Err(no_handler());
        }
        let runtime = self
            .runtime
            .as_deref()
            .map(|name| rules::runtime(name, offer));
        let runtime = runtime.transpose()?.unwrap_or(settings.runtime);
        let snap_start = match &self.snap_start {
            Some(given) => given.meant(),
            None => settings.snap_start,
        };
        rules::snap_start(snap_start, runtime)?;
        let format = match &self.logging_config {
            Some(logging) => logging.format(settings.log_format)?,
            None => settings.log_format,
        };
        self.memory_size.map_or(Ok(()), rules::memory)?;
        if let Some(environment) = &self.environment {
            rules::environment(&environment.variables)?;
            settings.environment = Some(Environment(environment.variables.clone()));
        }
        settings.runtime = runtime;
        set(&mut settings.role, &self.role);
        set(&mut settings.handler, &self.handler);
        set(&mut settings.description, &self.description);
        set(&mut settings.timeout_s, &self.timeout);
        set(&mut settings.memory_mb, &self.memory_size);
        set(
            &mut settings.ephemeral_storage_mb,
            &self.ephemeral_storage.as_ref().map(|it| it.size),
        );
        set(
            &mut settings.tracing_mode,
            &self.tracing_config.as_ref().and_then(|it| it.mode.clone()),
        );
        settings.log_format = format;
        if let Some(group) = self.logging_config.as_ref().and_then(|it| it.log_group()) {
            settings.log_group = group.to_owned();
        }
        settings.snap_start = snap_start;
        let dead_letter = self.dead_letter_config.as_ref();
        if let Some(arn) = dead_letter.and_then(|it| it.target_arn.as_deref()) {
            // An empty ARN takes the target away; a configuration without one leaves it.
            settings.dead_letter = (!arn.is_empty()).then(|| arn.to_owned());
        }
        Ok(())
    }

    /// Whether dead letters of `function` can go where the request says.
    pub(super) fn check_dead_letter(
        &self,
        session: &Session<'_>,
        function: &VersionKey,
    ) -> Result<(), LambdaError> {
        let given = self.dead_letter_config.as_ref();
        let arn = given
            .and_then(|it| it.target_arn.as_deref())
            .filter(|arn| !arn.is_empty());
        match arn {
            Some(arn) => event_invoke::check_dead_letter(session, function, arn),
            None => Ok(()),
        }
    }

    /// Gives `function` the layers that are asked for; absent, it keeps those that it has.
    pub(super) fn attach(
        &self,
        session: &Session<'_>,
        function: &VersionKey,
        settings: &mut Settings,
    ) -> Result<(), LambdaError> {
        if let Some(arns) = &self.layers {
            settings.layers = attach::resolve(session, function, arns)?;
        }
        attach::fits(settings)
    }
}

impl ApplyOn {
    fn meant(&self) -> SnapStart {
        match self.apply_on.as_deref() {
            Some("None") => SnapStart::None,
            Some("PublishedVersions") => SnapStart::PublishedVersions,
            _ => SnapStart::Auto,
        }
    }
}

fn set<T: Clone>(target: &mut T, given: &Option<T>) {
    if let Some(given) = given {
        target.clone_from(given);
    }
}

impl Settings {
    /// Takes over what the package says about itself; of a folder, whose contents change, its name.
    pub(super) fn describe(&mut self, package: &Package, folder: Option<PathBuf>) {
        self.code_sha256.clone_from(&package.sha256);
        self.code_size = package.size;
        self.code_unpacked_bytes = package.unpacked_bytes;
        if let Some(folder) = &folder {
            let name = Sha256::digest(folder.as_os_str().as_bytes());
            self.code_sha256 = BASE64_STANDARD.encode(name);
            self.code_size = 0;
            self.code_unpacked_bytes = 0;
        }
        self.live_code = folder;
    }
}

fn no_handler() -> LambdaError {
    invalid("Handler is mandatory for functions created with deployment packages.")
}
