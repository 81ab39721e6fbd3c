//! What the platform's node has, for a simulation of the same node.

use std::collections::BTreeMap;

use anyhow::Context;
use pilotlight_policy::Bytes;
use pilotlight_sim::Profile;
use pilotlight_sim::options::Cluster;
use pilotlight_sim::profile::{ClassName, Weight};
use pilotlight_sim::schedule::Planned;

use crate::client::Client;
use crate::list::Nodes;

const NODES: &str = "/pilotlight/v1/nodes";
const MIB: u64 = 1 << 20;

/// The nodes, each with the room that is left on the fullest: what is promised to others before a replay begins is none
/// of its functions'.
pub(super) async fn cluster(client: &Client) -> anyhow::Result<Cluster> {
    let Nodes { nodes } = client.get(NODES).await?;
    let left = |promised: u64, capacity: u64| Bytes::mib(capacity.saturating_sub(promised));
    let least = nodes
        .iter()
        .map(|node| left(node.promised_mb, node.capacity_mb));
    Ok(Cluster {
        memory: Some(least.min().context("the platform has no node")?),
        nodes: u32::try_from(nodes.len())?,
    })
}

/// What templates and spares take of the node, by class, in MiB: each as a node promises it, the mean over those that
/// are there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    template: BTreeMap<ClassName, Mean>,
    spare: BTreeMap<ClassName, Mean>,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Kept {
    /// Of those functions.
    pub(super) async fn of(
        client: &Client,
        names: &[String],
        planned: &[Planned],
    ) -> anyhow::Result<Self> {
        let Nodes { nodes } = client.get(NODES).await?;
        let classes: BTreeMap<&str, ClassName> = names
            .iter()
            .zip(planned)
            .map(|(name, function)| (name.as_str(), function.class))
            .collect();
        let mut kept = Self::default();
        for (version, counts) in nodes.iter().flat_map(|node| &node.versions) {
            let name = version.split(':').rev().nth(1).unwrap_or_default();
            let Some(&class) = classes.get(name) else {
                continue;
            };
            let spares = u64::from(counts.spares);
            for (means, bytes, count) in [
                (&mut kept.template, counts.template_bytes, 1),
                (&mut kept.spare, counts.spare_bytes, spares),
            ] {
                if bytes > 0 && count > 0 {
                    means.entry(class).or_default().add(bytes, count);
                }
            }
        }
        Ok(kept)
    }

    /// The profile with what was found.
    pub(super) fn weighed(&self, mut profile: Profile) -> Profile {
        for (name, class) in &mut profile.classes {
            for (means, weight) in [
                (&self.template, &mut class.memory.template),
                (&self.spare, &mut class.memory.spare),
            ] {
                if let Some(mean) = means.get(name) {
                    *weight = mean.weight();
                }
            }
        }
        profile
    }
}

impl Mean {
    /// So many of them take so much together. A node promises whole MiB.
    fn add(&mut self, bytes: u64, count: u64) {
        self.sum += (bytes / count).div_ceil(MIB) as f64 * count as f64;
        self.count += count as f64;
    }

    fn weight(&self) -> Weight {
        Weight {
            mb: self.sum / self.count,
            share: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_takes_the_place_of_what_a_profile_says() {
        let mut kept = Kept::default();
        let python = kept.template.entry(ClassName::Python).or_default();
        python.add(7 * MIB + 1, 1);
        python.add(20 * MIB, 2);
        let profile = Profile::default();
        let weighed = kept.weighed(profile.clone());
        let of = |profile: &Profile, class| profile.classes[&class].memory.clone();
        let python = of(&weighed, ClassName::Python);
        // 8 MiB of one, and 10 of each of two.
        assert_eq!(
            python.template,
            Weight {
                mb: 28.0 / 3.0,
                share: 0.0
            }
        );
        assert_eq!(python.spare, of(&profile, ClassName::Python).spare);
        assert_eq!(of(&weighed, ClassName::Node), of(&profile, ClassName::Node));
    }
}
