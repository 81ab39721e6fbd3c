//! The table of Lambda's operations: each with its one handler.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use pilotlight_model::service::Operation;
use serde_json::Value;

use super::{
    Answer, account, aliases, answered, code_signing, concurrency, create, delete, event_invoke,
    event_sources, function_signing, json, layers, listing, not_yet, permissions, provisioned,
    publish, read, recursion, runtime_updates, tags, typed, update, urls,
};
use crate::control::Parts;

/// Has the operation carried out. What is not in the table is one of AWS's that this platform does not have yet.
pub(super) async fn dispatch(
    parts: &Arc<Parts>,
    caller: &Caller,
    operation: &Operation,
    input: Value,
) -> Result<Answer, LambdaError> {
    match operation.name() {
        "CreateFunction" => answered(create::create_function(parts, caller, input)).await,
        "GetFunction" => answered(read::get_function(parts, caller, typed(input)?)).await,
        "GetFunctionConfiguration" => {
            answered(read::get_function_configuration(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "UpdateFunctionCode" => answered(update::update_function_code(parts, caller, input)).await,
        "UpdateFunctionConfiguration" => {
            answered(update::update_function_configuration(parts, caller, input)).await
        }
        "PublishVersion" => answered(publish::publish_version(parts, caller, input)).await,
        "DeleteFunction" => delete::delete_function(parts, caller, typed(input)?).await,
        "ListFunctions" => answered(listing::list_functions(parts, caller, typed(input)?)).await,
        "ListVersionsByFunction" => {
            answered(listing::list_versions(parts, caller, typed(input)?)).await
        }
        "CreateAlias" => answered(aliases::create_alias(parts, caller, typed(input)?)).await,
        "GetAlias" => answered(aliases::get_alias(parts, caller, typed(input)?)).await,
        "UpdateAlias" => answered(aliases::update_alias(parts, caller, typed(input)?)).await,
        "DeleteAlias" => aliases::delete_alias(parts, caller, typed(input)?).await,
        "ListAliases" => answered(aliases::list_aliases(parts, caller, typed(input)?)).await,
        "ListTags" => answered(tags::list_tags(parts, caller, typed(input)?)).await,
        "TagResource" => tags::tag_resource(parts, caller, typed(input)?).await,
        "UntagResource" => tags::untag_resource(parts, caller, typed(input)?).await,
        "PutFunctionConcurrency" => {
            answered(concurrency::put_function_concurrency(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "GetFunctionConcurrency" => {
            answered(concurrency::get_function_concurrency(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "DeleteFunctionConcurrency" => {
            concurrency::delete_function_concurrency(parts, caller, typed(input)?).await
        }
        "PutProvisionedConcurrencyConfig" => {
            answered(provisioned::put(parts, caller, typed(input)?)).await
        }
        "GetProvisionedConcurrencyConfig" => {
            answered(provisioned::get(parts, caller, typed(input)?)).await
        }
        "DeleteProvisionedConcurrencyConfig" => {
            provisioned::delete(parts, caller, typed(input)?).await
        }
        "ListProvisionedConcurrencyConfigs" => {
            answered(provisioned::list(parts, caller, typed(input)?)).await
        }
        "GetAccountSettings" => answered(account::get_account_settings(parts, caller)).await,
        "CreateCodeSigningConfig" => {
            answered(code_signing::create(parts, caller, typed(input)?)).await
        }
        "GetCodeSigningConfig" => answered(code_signing::get(parts, caller, typed(input)?)).await,
        "UpdateCodeSigningConfig" => {
            answered(code_signing::update(parts, caller, typed(input)?)).await
        }
        "DeleteCodeSigningConfig" => code_signing::delete(parts, caller, typed(input)?).await,
        "ListCodeSigningConfigs" => {
            answered(code_signing::list(parts, caller, typed(input)?)).await
        }
        "ListFunctionsByCodeSigningConfig" => {
            answered(function_signing::list(parts, caller, typed(input)?)).await
        }
        "PutFunctionCodeSigningConfig" => {
            answered(function_signing::put(parts, caller, typed(input)?)).await
        }
        "GetFunctionCodeSigningConfig" => {
            answered(function_signing::get(parts, caller, typed(input)?)).await
        }
        "DeleteFunctionCodeSigningConfig" => {
            function_signing::delete(parts, caller, typed(input)?).await
        }
        "AddPermission" => {
            answered(permissions::add_permission(parts, caller, typed(input)?)).await
        }
        "RemovePermission" => permissions::remove_permission(parts, caller, typed(input)?).await,
        "GetPolicy" => answered(permissions::get_policy(parts, caller, typed(input)?)).await,
        "CreateFunctionUrlConfig" => {
            answered(urls::create_function_url_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "GetFunctionUrlConfig" => {
            answered(urls::get_function_url_config(parts, caller, typed(input)?)).await
        }
        "UpdateFunctionUrlConfig" => {
            answered(urls::update_function_url_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "DeleteFunctionUrlConfig" => {
            urls::delete_function_url_config(parts, caller, typed(input)?).await
        }
        "ListFunctionUrlConfigs" => {
            answered(urls::list_function_url_configs(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "PutFunctionEventInvokeConfig" => {
            answered(event_invoke::put(parts, caller, typed(input)?)).await
        }
        "UpdateFunctionEventInvokeConfig" => {
            answered(event_invoke::update(parts, caller, typed(input)?)).await
        }
        "GetFunctionEventInvokeConfig" => {
            answered(event_invoke::get(parts, caller, typed(input)?)).await
        }
        "DeleteFunctionEventInvokeConfig" => {
            event_invoke::delete(parts, caller, typed(input)?).await
        }
        "ListFunctionEventInvokeConfigs" => {
            answered(event_invoke::list(parts, caller, typed(input)?)).await
        }
        "GetFunctionRecursionConfig" => {
            answered(recursion::get_function_recursion_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "PutFunctionRecursionConfig" => {
            answered(recursion::put_function_recursion_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "GetRuntimeManagementConfig" => {
            answered(runtime_updates::get_runtime_management_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "PutRuntimeManagementConfig" => {
            answered(runtime_updates::put_runtime_management_config(
                parts,
                caller,
                typed(input)?,
            ))
            .await
        }
        "ListEventSourceMappings" => json(event_sources::list_event_source_mappings()),
        "CreateEventSourceMapping" => {
            Err(event_sources::refuse(parts, caller, typed(input)?).await)
        }
        "GetEventSourceMapping" | "UpdateEventSourceMapping" | "DeleteEventSourceMapping" => {
            Err(event_sources::none_such())
        }
        "PublishLayerVersion" => answered(layers::publish(parts, caller, input)).await,
        "GetLayerVersion" => answered(layers::get(parts, caller, typed(input)?)).await,
        "GetLayerVersionByArn" => answered(layers::get_by_arn(parts, caller, typed(input)?)).await,
        "DeleteLayerVersion" => layers::delete(parts, caller, typed(input)?).await,
        "ListLayers" => answered(layers::listing::layers(parts, caller, typed(input)?)).await,
        "ListLayerVersions" => {
            answered(layers::listing::versions(parts, caller, typed(input)?)).await
        }
        "AddLayerVersionPermission" => {
            answered(layers::policy::add(parts, caller, typed(input)?)).await
        }
        "RemoveLayerVersionPermission" => {
            layers::policy::remove(parts, caller, typed(input)?).await
        }
        "GetLayerVersionPolicy" => {
            answered(layers::policy::get(parts, caller, typed(input)?)).await
        }
        name => Err(not_yet(name)),
    }
}
