//! CreateFunctionUrlConfig, GetFunctionUrlConfig, UpdateFunctionUrlConfig, DeleteFunctionUrlConfig and
//! ListFunctionUrlConfigs.

mod configuration;

use std::sync::Arc;

use http::StatusCode;
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::service::lambda;
use pilotlight_model::url::{AuthType, Cors, FunctionUrl, InvokeMode};
use pilotlight_model::{AliasName, ErrorKind, LambdaError, VersionKey};
use serde::{Deserialize, Serialize};

use super::markers::{FunctionListRequest, not_a_marker, page, seen};
use super::{Answer, rules};
use crate::catalog::Session;
use crate::catalog::urls::UrlRecord;
use crate::control::Parts;
use crate::paging::cut;
use configuration::{UrlConfiguration, arn, fresh_id};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    function_name: String,
    qualifier: Option<String>,
    auth_type: AuthType,
    cors: Option<Cors>,
    invoke_mode: Option<InvokeMode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateRequest {
    function_name: String,
    qualifier: Option<String>,
    auth_type: Option<AuthType>,
    cors: Option<Cors>,
    invoke_mode: Option<InvokeMode>,
}

/// The URL of a function, or of one of its aliases.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UrlRequest {
    function_name: String,
    qualifier: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListResponse {
    function_url_configs: Vec<UrlConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// A function and, where the URL is an alias's, that.
struct Place {
    function: VersionKey,
    alias: Option<AliasName>,
}

pub(super) async fn create_function_url_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: CreateRequest,
) -> Result<UrlConfiguration, LambdaError> {
    let place = Place::of(caller, &request.function_name, request.qualifier.as_deref())?;
    let now_ms = parts.config.clock.unix_ms();
    let asked = request.invoke_mode;
    let record = parts
        .catalog
        .write(move |session| {
            place.must_exist(session)?;
            let Place { function, alias } = &place;
            if session.url(function, alias.as_ref())?.is_some() {
                return Err(LambdaError::new(
                    ErrorKind::ResourceConflict,
                    format!(
                        "Failed to create function url config for [functionArn = {}]. Error message:  \
                         FunctionUrlConfig exists for this Lambda function",
                        place.arn()
                    ),
                ));
            }
            let record = UrlRecord {
                url: FunctionUrl {
                    id: fresh_id(),
                    account: function.account.clone(),
                    region: function.region.clone(),
                    name: function.name.clone(),
                    alias: place.alias,
                    auth: request.auth_type,
                    mode: request.invoke_mode.unwrap_or_default(),
                    cors: request.cors.and_then(configured),
                },
                created_ms: now_ms,
                modified_ms: now_ms,
            };
            session.put_url(&place.function, &record)?;
            Ok(record)
        })
        .await?;
    Ok(UrlConfiguration::created(parts, &record, asked))
}

pub(super) async fn get_function_url_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UrlRequest,
) -> Result<UrlConfiguration, LambdaError> {
    let place = Place::of(caller, &request.function_name, request.qualifier.as_deref())?;
    let found = parts
        .catalog
        .read(move |session| {
            session
                .url(&place.function, place.alias.as_ref())?
                .ok_or_else(not_found)
        })
        .await?;
    Ok(UrlConfiguration::of(parts, &found))
}

/// What is absent stays; what CORS is given takes the place of all that was.
pub(super) async fn update_function_url_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UpdateRequest,
) -> Result<UrlConfiguration, LambdaError> {
    let place = Place::of(caller, &request.function_name, request.qualifier.as_deref())?;
    let now_ms = parts.config.clock.unix_ms();
    let asked = request.invoke_mode;
    let record = parts
        .catalog
        .write(move |session| {
            place.must_exist(session)?;
            let found = session.url(&place.function, place.alias.as_ref())?;
            let mut record = found.ok_or_else(not_found)?;
            let url = &mut record.url;
            url.auth = request.auth_type.unwrap_or(url.auth);
            url.mode = request.invoke_mode.unwrap_or(url.mode);
            if let Some(cors) = request.cors {
                url.cors = configured(cors);
            }
            record.modified_ms = now_ms;
            session.put_url(&place.function, &record)?;
            Ok::<_, LambdaError>(record)
        })
        .await?;
    Ok(UrlConfiguration::updated(parts, &record, asked))
}

pub(super) async fn delete_function_url_config(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: UrlRequest,
) -> Result<Answer, LambdaError> {
    let place = Place::of(caller, &request.function_name, request.qualifier.as_deref())?;
    parts
        .catalog
        .write(
            move |session| match session.delete_url(&place.function, place.alias.as_ref())? {
                true => Ok(()),
                false => Err(not_found()),
            },
        )
        .await?;
    Ok(Answer::Empty(StatusCode::NO_CONTENT))
}

/// The URLs of a function and its aliases, the function's own first.
pub(super) async fn list_function_url_configs(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionListRequest,
) -> Result<ListResponse, LambdaError> {
    let function = rules::latest(&Target::resolve(caller, &request.function_name, None)?);
    let page = page(request.max_items);
    let after = alias_seen(request.marker.as_deref())?;
    let mut found = parts
        .catalog
        .read(move |session| {
            if session.find(&function)?.is_none() {
                return Err(no_function());
            }
            Ok(session.urls(&function, after.as_deref(), Some(page + 1))?)
        })
        .await?;
    let next_marker = cut(&mut found, page, |last| {
        let alias = last.url.alias.as_ref();
        format!(":{}", alias.map_or("", |it| it.as_str()))
    });
    Ok(ListResponse {
        next_marker,
        function_url_configs: found
            .iter()
            .map(|record| UrlConfiguration::of(parts, record))
            .collect(),
    })
}

impl Place {
    /// `$LATEST` is meant by no qualifier, and versions have no URL: AWS refuses both by their form.
    fn of(caller: &Caller, name: &str, qualifier: Option<&str>) -> Result<Self, LambdaError> {
        let target = Target::resolve(caller, name, qualifier)?;
        let alias = match target.qualifier.as_deref().map(str::parse) {
            None => None,
            Some(Ok(Qualifier::Alias(alias))) => Some(alias),
            Some(_) => return Err(no_alias(target.qualifier.as_deref().unwrap_or_default())),
        };
        Ok(Self {
            function: rules::latest(&target),
            alias,
        })
    }

    fn must_exist(&self, session: &Session<'_>) -> Result<(), LambdaError> {
        let there = match &self.alias {
            None => session.find(&self.function)?.is_some(),
            Some(alias) => session.alias(&self.function, alias)?.is_some(),
        };
        if there { Ok(()) } else { Err(no_function()) }
    }

    fn arn(&self) -> String {
        arn(&self.function, self.alias.as_ref())
    }
}

/// CORS in which nothing is said is none.
fn configured(cors: Cors) -> Option<Cors> {
    (cors != Cors::default()).then_some(cors)
}

/// What a marker says: the alias whose URL the client saw last, behind a colon, since that of `$LATEST` has no alias
/// and a marker is never empty.
fn alias_seen(marker: Option<&str>) -> Result<Option<String>, LambdaError> {
    let alias = |text: String| text.strip_prefix(':').map(str::to_owned);
    let read = |text| alias(text).ok_or_else(not_a_marker);
    seen(marker)?.map(read).transpose()
}

fn no_alias(qualifier: &str) -> LambdaError {
    let pattern = lambda()
        .operation("GetFunctionUrlConfig")
        .and_then(|operation| operation.input()?.member("Qualifier"))
        .and_then(|member| member.shape.pattern.as_ref())
        .map_or("", |pattern| pattern.as_str());
    LambdaError::new(
        ErrorKind::Validation,
        format!(
            "1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: {pattern}"
        ),
    )
}

fn no_function() -> LambdaError {
    LambdaError::new(ErrorKind::ResourceNotFound, "Function does not exist")
}

fn not_found() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The resource you requested does not exist.",
    )
}
