//! Layers: what their names and ARNs are, and what a caller may name one by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, InvalidId, Region};

/// A layer of an account in a region. Its versions are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerKey {
    /// Owner.
    pub account: AccountId,
    /// Region that it is published in.
    pub region: Region,
    /// Bare name: letters, digits, hyphens and underscores.
    pub name: String,
}

/// One version of a layer, written as its ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerVersionKey {
    /// The layer.
    pub layer: LayerKey,
    /// From 1; never given twice.
    pub number: u64,
}

impl LayerKey {
    /// What `text` means to a caller in that account and region: a bare name, or the layer's ARN.
    pub fn resolve(account: &AccountId, region: &Region, text: &str) -> Result<Self, InvalidId> {
        if text.starts_with("arn:") {
            return text.parse();
        }
        Ok(Self {
            account: account.clone(),
            region: region.clone(),
            name: name(text).ok_or_else(|| invalid("layer name", text))?,
        })
    }

    /// That version of it.
    pub fn version(&self, number: u64) -> LayerVersionKey {
        LayerVersionKey {
            layer: self.clone(),
            number,
        }
    }
}

impl fmt::Display for LayerKey {
    /// The layer's ARN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:lambda:{}:{}:layer:{}",
            self.region.partition(),
            self.region,
            self.account,
            self.name
        )
    }
}

impl FromStr for LayerKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match parts(text)? {
            (key, None) => Ok(key),
            (_, Some(_)) => Err(invalid("layer ARN", text)),
        }
    }
}

impl fmt::Display for LayerVersionKey {
    /// The version's ARN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.layer, self.number)
    }
}

impl FromStr for LayerVersionKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || invalid("layer version ARN", text);
        match parts(text)? {
            (layer, Some(number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                let number = number.parse().map_err(|_| invalid())?;
                Ok(Self { layer, number })
            }
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for LayerVersionKey {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<LayerVersionKey> for String {
    fn from(key: LayerVersionKey) -> String {
        key.to_string()
    }
}

/// `arn:<partition>:lambda:<region>:<account>:layer:<name>[:<version>]`, taken apart.
fn parts(text: &str) -> Result<(LayerKey, Option<&str>), InvalidId> {
    let invalid = || invalid("layer ARN", text);
    let pieces: Vec<&str> = text.splitn(8, ':').collect();
    let (region, account, layer, version) = match pieces[..] {
        ["arn", _, "lambda", region, account, "layer", layer] => (region, account, layer, None),
        ["arn", _, "lambda", region, account, "layer", layer, version] => {
            (region, account, layer, Some(version))
        }
        _ => return Err(invalid()),
    };
    let key = LayerKey {
        account: account.parse()?,
        region: region.parse()?,
        name: name(layer).ok_or_else(invalid)?,
    };
    Ok((key, version))
}

fn name(text: &str) -> Option<String> {
    let valid = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    valid.then(|| text.to_owned())
}

fn invalid(what: &'static str, text: &str) -> InvalidId {
    InvalidId {
        what,
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_layer_is_named_barely_or_by_its_arn() {
        let (account, region) = (AccountId::default(), Region::default());
        let resolve = |text: &str| LayerKey::resolve(&account, &region, text);
        let own = resolve("tools").unwrap();
        assert_eq!(
            own.to_string(),
            "arn:aws:lambda:us-east-1:123456789012:layer:tools"
        );
        assert_eq!(resolve(&own.to_string()), Ok(own));
        let other = resolve("arn:aws:lambda:eu-west-1:000000000001:layer:x").unwrap();
        assert_eq!(other.account.as_str(), "000000000001");
        for bad in [
            "",
            "a b",
            "a:1",
            "arn:aws:lambda:us-east-1:123456789012:layer:x:1",
            "arn:x",
        ] {
            assert!(resolve(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn version_arns_read_back(
            account in "[0-9]{12}", region in "[a-z]{2}-[a-z]{4,9}-[0-9]", name in "[a-zA-Z0-9-_]{1,64}",
            number in 1u64..,
        ) {
            let layer = LayerKey {
                account: account.parse().unwrap(), region: region.parse().unwrap(), name,
            };
            let key = layer.version(number);
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            prop_assert!(layer.to_string().parse::<LayerVersionKey>().is_err());
        }

        #[test]
        fn what_reads_is_written_as_it_was(text in "(arn:)?(aws:)?lambda?:[a-z0-9-]{0,9}:?[0-9]{0,12}:layer:.{0,12}") {
            if let Ok(key) = text.parse::<LayerVersionKey>() {
                prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
    }
}
