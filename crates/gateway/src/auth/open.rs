//! Open mode: no keys are configured, so everyone who reaches the listener may call. Therefore it must
//! be on loopback, and web pages that the user's browser shows are kept out.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use pilotlight_model::ids::Region;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};

use super::credential::Credential;
use crate::query;
use crate::urls::is_function_url;

/// Without access keys the gateway does not listen where others can reach it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to listen on {address} without access keys: configure access keys, or listen on loopback"
)]
pub struct OpenListenRefused {
    /// The address that was asked for.
    pub address: SocketAddr,
}

/// Whether the gateway may listen on `address`: without access keys on loopback only.
pub fn refuse_open_listen(
    address: SocketAddr,
    keys_configured: bool,
) -> Result<(), OpenListenRefused> {
    if keys_configured || address.ip().to_canonical().is_loopback() {
        Ok(())
    } else {
        Err(OpenListenRefused { address })
    }
}

/// Account and region as the credential scope names them, if there is one. Nothing is verified: a key
/// id of 12 digits is its own account, any other belongs to the default one.
pub(super) fn caller(head: &Parts) -> Result<Caller, LambdaError> {
    refuse_web_pages(head)?;
    Ok(named(credential(head).as_ref()))
}

/// Access key id, account and region as the credential scope of a request names them that must have one. Nothing is
/// verified.
pub(super) fn credential_of(head: &Parts) -> Result<(String, Caller), LambdaError> {
    let Some(credential) = credential(head) else {
        return Err(LambdaError::new(
            ErrorKind::MissingAuthenticationToken,
            "Missing Authentication Token",
        ));
    };
    let caller = named(Some(&credential));
    Ok((credential.key_id, caller))
}

/// The region that the credential scope of a request names. Nothing is verified.
pub(crate) fn region(head: &Parts) -> Option<Region> {
    credential(head)?.region.parse().ok()
}

/// The service that the credential scope of a request names. Nothing is verified.
pub(crate) fn service(head: &Parts) -> Option<String> {
    Some(credential(head)?.service)
}

fn named(credential: Option<&Credential>) -> Caller {
    let account = credential.and_then(|it| it.key_id.parse().ok());
    let region = credential.and_then(|it| it.region.parse().ok());
    Caller {
        account: account.unwrap_or_default(),
        region: region.unwrap_or_default(),
        function: None,
    }
}

fn credential(head: &Parts) -> Option<Credential> {
    if let Some(value) = head.headers.get(AUTHORIZATION) {
        let (_, rest) = value.to_str().ok()?.split_once("Credential=")?;
        return rest.split(',').next()?.trim().parse().ok();
    }
    query::value(head.uri.query()?, "X-Amz-Credential")?
        .parse()
        .ok()
}

/// A browser sends requests to loopback for any page that asks it to, by address or by a name that was
/// made to resolve there. It marks them, and both marks must then name this machine. The pages of function URLs come
/// from it too, and are as little to be trusted as their functions.
fn refuse_web_pages(head: &Parts) -> Result<(), LambdaError> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let origin = head.headers.get(ORIGIN);
    if origin.is_none() && !head.headers.contains_key("sec-fetch-site") {
        return Ok(());
    }
    let from_here = origin.is_none()
        || text(ORIGIN)
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, authority)| is_local(authority) && !is_function_url(authority));
    if from_here && text(HOST).is_some_and(is_local) {
        return Ok(());
    }
    Err(LambdaError::new(
        ErrorKind::AccessDenied,
        "Without access keys, requests of web pages from elsewhere are refused.",
    ))
}

/// Whether `host[:port]` names this machine.
fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
