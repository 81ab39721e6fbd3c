//! GetAccountSettings.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::limits::{CODE_UNPACKED_BYTES, CODE_ZIP_BYTES};
use pilotlight_model::node::Caller;
use serde::Serialize;

use crate::control::Parts;

/// Code of an account that AWS stores; here the disk is the limit.
const TOTAL_CODE_BYTES: u64 = 75 * 1024 * 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AccountSettings {
    account_limit: AccountLimit,
    account_usage: AccountUsage,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountLimit {
    total_code_size: u64,
    code_size_unzipped: u64,
    code_size_zipped: u64,
    concurrent_executions: u32,
    unreserved_concurrent_executions: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccountUsage {
    total_code_size: u64,
    function_count: u64,
}

pub(super) async fn get_account_settings(
    parts: &Arc<Parts>,
    caller: &Caller,
) -> Result<AccountSettings, LambdaError> {
    let Caller {
        account, region, ..
    } = caller.clone();
    let unreserved = parts.catalog.index().unreserved(&account, &region);
    let ((function_count, functions_size), layers_size) = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>((
                session.usage(&account, &region)?,
                session.layer_usage(&account, &region)?,
            ))
        })
        .await?;
    Ok(AccountSettings {
        account_limit: AccountLimit {
            total_code_size: TOTAL_CODE_BYTES,
            code_size_unzipped: CODE_UNPACKED_BYTES,
            code_size_zipped: CODE_ZIP_BYTES,
            concurrent_executions: parts.config.limits.account_concurrency,
            unreserved_concurrent_executions: unreserved,
        },
        account_usage: AccountUsage {
            total_code_size: functions_size + layers_size,
            function_count,
        },
    })
}
