//! Hot reload: `Code: {S3Bucket: "hot-reload", S3Key: "/absolute/path"}` has a function run from a folder
//! of this machine as it changes. For work on functions where they run; who else calls the platform must
//! not be let near its files, so the configuration says whether and where from.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use pilotlight_model::LambdaError;

use super::invalid;
use crate::config::{Config, HotReload};

/// The bucket that no other code comes from.
pub(super) const BUCKET: &str = "hot-reload";
/// What stands for the code where a package is asked for: one file that says so.
pub(super) const PACKAGE: &[u8] = include_bytes!("hot_reload.zip");
/// Permissions by which instances, whose user owns nothing here, can look into a folder.
const READABLE: u32 = 0o005;
/// Where a kernel shows itself: nobody's code is there, and what is tells of the machine and of everybody's processes.
const KERNELS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The folder that a key names, if code may be loaded from it.
pub(super) async fn folder(config: &Config, key: &str) -> Result<PathBuf, LambdaError> {
    let (folder, data_dir) = (PathBuf::from(key), config.data_dir.clone());
    let allowed = config.hot_reload.clone();
    let judged = tokio::task::spawn_blocking(move || judge(&folder, &allowed, &data_dir));
    judged.await.unwrap_or_else(|error| {
        tracing::error!(%error, "looking at a folder panicked");
        Err(invalid("The folder cannot be looked at."))
    })
}

fn judge(folder: &Path, allowed: &HotReload, data_dir: &Path) -> Result<PathBuf, LambdaError> {
    let shown = folder.display();
    if !folder.is_absolute() {
        return Err(invalid(format!(
            "The S3Key of the bucket {BUCKET} must be the absolute path of a folder: {shown}"
        )));
    }
    // A key lets its holder call the API, and not read this machine.
    if let HotReload::Any(open) = allowed
        && !open.load(Ordering::Relaxed)
    {
        return Err(invalid(format!(
            "Functions are not loaded from {shown}: where there are access keys, folders must be listed in \
             the platform's configuration, as in hot_reload = [\"/srv/functions\"]."
        )));
    }
    let real = folder.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => invalid(format!("The folder {shown} does not exist.")),
        _ => invalid(format!("The folder {shown} cannot be read: {error}")),
    })?;
    let within = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if let HotReload::Within(roots) = allowed
        && !roots.iter().any(within)
    {
        return Err(invalid(format!(
            "The platform's configuration does not let functions be loaded from {shown}."
        )));
    }
    let meta = real
        .metadata()
        .map_err(|error| invalid(format!("The folder {shown} cannot be read: {error}")))?;
    if !meta.is_dir() {
        return Err(invalid(format!("{shown} is not a folder.")));
    }
    if KERNELS.iter().any(|kernels| real.starts_with(kernels)) {
        return Err(invalid(format!("{shown} is no folder of files.")));
    }
    if meta.permissions().mode() & READABLE != READABLE {
        return Err(invalid(format!(
            "Instances run as a user of their own and cannot read {shown}: it must be readable by \
             others (chmod o+rx)."
        )));
    }
    let data_dir = data_dir
        .canonicalize()
        .unwrap_or_else(|_| data_dir.to_owned());
    if data_dir.starts_with(&real) || real.starts_with(&data_dir) {
        return Err(invalid(format!(
            "{shown} holds the platform's own data or is part of it."
        )));
    }
    match allowed {
        HotReload::Within(_) => Ok(real),
        // As it was given: a link may be made to point elsewhere.
        _ => Ok(folder.to_owned()),
    }
}
