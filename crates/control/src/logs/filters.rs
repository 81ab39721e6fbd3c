//! Subscription and metric filters are not here: none can be made, so that a group has none to tell of.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::{groups, identifier};
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeFiltersRequest {
    /// Metric filters can be asked for without a group.
    log_group_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSubscriptionFiltersResponse {
    subscription_filters: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeMetricFiltersResponse {
    metric_filters: [(); 0],
}

pub(super) async fn subscriptions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DescribeFiltersRequest,
) -> Result<DescribeSubscriptionFiltersResponse, LambdaError> {
    there(parts, caller, request).await?;
    Ok(DescribeSubscriptionFiltersResponse {
        subscription_filters: [],
    })
}

pub(super) async fn metrics(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DescribeFiltersRequest,
) -> Result<DescribeMetricFiltersResponse, LambdaError> {
    there(parts, caller, request).await?;
    Ok(DescribeMetricFiltersResponse { metric_filters: [] })
}

/// A group that is named has to be there.
async fn there(
    parts: &Parts,
    caller: &Caller,
    request: DescribeFiltersRequest,
) -> Result<(), LambdaError> {
    if let Some(name) = request.log_group_name {
        groups::get(parts, &identifier::named(caller, &name)).await?;
    }
    Ok(())
}
