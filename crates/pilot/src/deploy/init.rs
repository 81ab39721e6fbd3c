//! What became of the init of a function that was deployed.

use serde_json::Value;

use crate::client::Client;
use crate::list::Nodes;

/// The reason why a version whose init fails has no template.
const INIT_FAILED: &str = "init_failed";

/// Why its init fails, as far as the platform has found out: it has run it where the function is to have a
/// template. A platform that does not tell costs nothing but the warning.
pub(super) async fn failure(client: &Client, function: &Value) -> Option<String> {
    let latest = format!("{}:$LATEST", function["FunctionArn"].as_str()?);
    let Nodes { nodes } = client.get("/pilotlight/v1/nodes").await.ok()?;
    nodes
        .into_iter()
        .filter_map(|mut node| node.versions.remove(&latest)?.refusal)
        .find(|refusal| refusal.reason == INIT_FAILED)
        .map(|refusal| refusal.detail)
}
