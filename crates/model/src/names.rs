//! What a caller may name a function by: bare name, `name:qualifier`, partial ARN
//! (`account:function:name[:qualifier]`) or full ARN, and a qualifier apart from it.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use regex::Regex;

use crate::error::{ErrorKind, LambdaError};
use crate::ids::{AccountId, AliasName, FunctionName, InvalidId, Region, Version};
use crate::node::Caller;

/// The service model's own pattern for function names, with its groups named: where a text can be read
/// in two ways, AWS's reading is that of this expression.
const PATTERN: &str = r"\A(?:arn:(?P<partition>aws[a-zA-Z-]*)?:lambda:)?(?:(?P<region>[a-z]{2}(?:(?:-gov)|(?:-iso(?:[a-z]?)))?-[a-z]+-[0-9]):)?(?:(?P<account>[0-9]{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9-_\.]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?\z";

/// A text that names a function, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionRef {
    /// Region, if the text has one.
    pub region: Option<Region>,
    /// Account, if the text has one.
    pub account: Option<AccountId>,
    /// The name's own text. Not yet a [`FunctionName`]: a name that is too long is one that no function
    /// has, which is another error than a malformed one.
    pub name: String,
    /// Version or alias, if the text has one.
    pub qualifier: Option<String>,
}

/// A function as one request means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Account that the function belongs to.
    pub account: AccountId,
    /// Region of the caller.
    pub region: Region,
    /// Name.
    pub name: FunctionName,
    /// Version or alias, from the name or apart from it.
    pub qualifier: Option<String>,
}

/// What a qualifier names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Qualifier {
    /// One version.
    Version(Version),
    /// Whatever version the alias points at.
    Alias(AliasName),
}

impl FromStr for Qualifier {
    type Err = InvalidId;

    /// Digits alone are never an alias: `007` is neither.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.parse() {
            Ok(version) => Ok(Self::Version(version)),
            Err(_) => text.parse().map(Self::Alias),
        }
    }
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Alias(alias) => alias.fmt(f),
        }
    }
}

impl FromStr for FunctionRef {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        static REGEX: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(PATTERN).expect("a constant that tests compile"));
        let invalid = || InvalidId {
            what: "function name",
            text: text.to_owned(),
        };
        let groups = REGEX.captures(text).ok_or_else(invalid)?;
        let group = |name: &str| groups.name(name).map(|it| it.as_str());
        Ok(Self {
            region: group("region").map(str::parse).transpose()?,
            account: group("account").map(str::parse).transpose()?,
            name: group("name").ok_or_else(invalid)?.to_owned(),
            qualifier: group("qualifier").map(str::to_owned),
        })
    }
}

impl fmt::Display for FunctionRef {
    /// A form that reads back as the same: a bare name where that is all there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(region) = &self.region {
            write!(f, "arn:{}:lambda:{region}:", region.partition())?;
        }
        if let Some(account) = &self.account {
            write!(f, "{account}:")?;
        }
        let bare = self.region.is_none() && self.account.is_none() && self.qualifier.is_none();
        if !bare {
            f.write_str("function:")?;
        }
        f.write_str(&self.name)?;
        match &self.qualifier {
            Some(qualifier) => write!(f, ":{qualifier}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// What `caller` means by `name` (in any form) and a qualifier given apart, in its own account; a
    /// function of another's is refused. `name` has passed the service model's validation or is refused as
    /// it would be.
    pub fn resolve(
        caller: &Caller,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Self, LambdaError> {
        let target = Self::read(caller, name, qualifier)?;
        if target.account != caller.account {
            let account = &caller.account;
            return Err(LambdaError::new(
                ErrorKind::AccessDenied,
                format!("Account {account} is not authorized to access {name}"),
            ));
        }
        Ok(target)
    }

    /// What `caller` means, whosever it is. Who asks for more than the name must have it authorized:
    /// [`crate::function_policy::authorize`].
    pub fn read(caller: &Caller, name: &str, qualifier: Option<&str>) -> Result<Self, LambdaError> {
        let reference: FunctionRef = name.parse().map_err(|_| malformed(name))?;
        let region = &caller.region;
        if let Some(other) = reference.region.filter(|other| other != region) {
            return Err(LambdaError::new(
                ErrorKind::ResourceNotFound,
                format!("Functions from '{other}' are not reachable in this region ('{region}')"),
            ));
        }
        let account = reference.account.as_ref().unwrap_or(&caller.account);
        let qualifier = agreed(reference.qualifier, qualifier)?;
        let name = reference.name.parse().map_err(|_| {
            let arn = arn(region, account, &reference.name, qualifier.as_deref());
            LambdaError::function_not_found(&arn)
        })?;
        Ok(Self {
            account: account.clone(),
            region: region.clone(),
            name,
            qualifier,
        })
    }

    /// The function's ARN without a qualifier.
    pub fn function_arn(&self) -> String {
        arn(&self.region, &self.account, self.name.as_str(), None)
    }

    /// The function's ARN with the qualifier that the caller used, if any.
    pub fn arn(&self) -> String {
        arn(
            &self.region,
            &self.account,
            self.name.as_str(),
            self.qualifier.as_deref(),
        )
    }
}

fn arn(region: &Region, account: &AccountId, name: &str, qualifier: Option<&str>) -> String {
    let partition = region.partition();
    let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
    match qualifier {
        Some(qualifier) => format!("{arn}:{qualifier}"),
        None => arn,
    }
}

/// A qualifier can come twice; then both must be the same. An empty one is none.
fn agreed(within: Option<String>, apart: Option<&str>) -> Result<Option<String>, LambdaError> {
    let apart = apart.filter(|qualifier| !qualifier.is_empty());
    match (within, apart) {
        (Some(within), Some(apart)) if within != apart => Err(LambdaError::new(
            ErrorKind::InvalidParameterValue,
            "The derived qualifier from the function name does not match the specified qualifier.",
        )),
        (within, apart) => Ok(within.or_else(|| apart.map(str::to_owned))),
    }
}

fn malformed(name: &str) -> LambdaError {
    let pattern = crate::service::lambda()
        .operation("GetFunction")
        .and_then(|operation| operation.input())
        .and_then(|input| input.member("FunctionName"))
        .and_then(|member| member.shape.pattern.as_ref())
        .map_or("", |pattern| pattern.as_str());
    LambdaError::new(
        ErrorKind::Validation,
        format!(
            "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: {pattern}"
        ),
    )
}

#[cfg(test)]
mod tests;
