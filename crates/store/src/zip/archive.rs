//! The archive's directory, checked and made into a tree.

use std::borrow::Cow;

use rawzip::{ErrorKind, ZipArchive, ZipSliceArchive};

use super::link::{self, TARGET_BYTES};
use super::member::{Member, MemberKind};
use super::path::{components, decoded};
use super::{Inflater, Packed, ZipLimits, shown};
use crate::erofs::{Entry, InsertError, Tree};
use crate::publish::{LinkDefect, PublishError};

/// A zip whose end and directory were found.
pub(crate) struct Archive<'z> {
    raw: ZipSliceArchive<&'z [u8]>,
}

impl<'z> Archive<'z> {
    /// Finds the directory.
    pub(crate) fn open(zip: &'z [u8]) -> Result<Self, PublishError> {
        const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
        if zip.is_empty() {
            return Err(PublishError::Empty);
        }
        match ZipArchive::from_slice(zip) {
            Ok(raw) => Ok(Self { raw }),
            Err(error) => Err(match error.kind() {
                ErrorKind::MissingEndOfCentralDirectory if !zip.starts_with(LOCAL_HEADER) => {
                    PublishError::NotZip
                }
                _ => PublishError::Truncated,
            }),
        }
    }

    /// The tree of the archive. Contents stay packed; only targets of links are looked at.
    pub(crate) fn tree(&self, limits: &ZipLimits) -> Result<Tree<Packed<'_>>, PublishError> {
        let mut members = self.members(limits)?;
        refuse_bombs(&members, self.raw.get_ref().len() as u64, limits)?;
        refuse_overlaps(&mut members, self.raw.directory_offset())?;
        let mut tree = Tree::new();
        let mut inflater = Inflater::new();
        for member in members {
            insert(&mut tree, member, limits, &mut inflater)?;
        }
        Ok(tree)
    }

    fn members(&self, limits: &ZipLimits) -> Result<Vec<Member<'_>>, PublishError> {
        let mut members = Vec::new();
        for record in self.raw.entries() {
            let record = record.map_err(|_| PublishError::Truncated)?;
            if members.len() == limits.entries {
                return Err(PublishError::TooManyEntries {
                    limit: limits.entries,
                });
            }
            members.push(Member::read(&self.raw, &record)?);
        }
        // The count has 16 bits in archives that are not zip64, and writers let it wrap.
        if members.len() as u16 != self.raw.entries_hint() as u16 {
            return Err(PublishError::Truncated);
        }
        if members.is_empty() {
            return Err(PublishError::Empty);
        }
        Ok(members)
    }
}

/// Refuses what would unpack to more than is allowed. Sizes are what the directory declares, and
/// inflating stops at them.
fn refuse_bombs(
    members: &[Member<'_>],
    zip_bytes: u64,
    limits: &ZipLimits,
) -> Result<(), PublishError> {
    let unpacked = members
        .iter()
        .fold(0u64, |sum, member| sum.saturating_add(member.packed.size));
    if unpacked > limits.unpacked_bytes {
        return Err(PublishError::TooLarge {
            limit: limits.unpacked_bytes,
        });
    }
    if unpacked > limits.small_bytes && unpacked > zip_bytes.saturating_mul(limits.ratio) {
        return Err(PublishError::Ratio {
            limit: limits.ratio,
        });
    }
    Ok(())
}

/// Refuses entries that share bytes with each other or with the directory.
fn refuse_overlaps(members: &mut [Member<'_>], directory: u64) -> Result<(), PublishError> {
    members.sort_unstable_by_key(|member| member.span);
    let ends = members
        .iter()
        .skip(1)
        .map(|next| next.span.0)
        .chain([directory]);
    match members
        .iter()
        .zip(ends)
        .find(|(member, end)| member.span.1 > *end)
    {
        Some((member, _)) => Err(PublishError::Overlap {
            name: shown(member.name),
        }),
        None => Ok(()),
    }
}

fn insert<'z>(
    tree: &mut Tree<Packed<'z>>,
    member: Member<'z>,
    limits: &ZipLimits,
    inflater: &mut Inflater,
) -> Result<(), PublishError> {
    let name: Cow<'_, [u8]> = decoded(member.name, member.utf8)?;
    let path = components(&name, limits)?;
    let size = member.packed.size;
    let entry = match member.kind {
        MemberKind::Directory if path.is_empty() => return Ok(()),
        MemberKind::Directory => Entry::Directory,
        MemberKind::File { executable } => Entry::File {
            size,
            executable,
            source: member.packed,
        },
        MemberKind::Symlink => {
            let depth = path.len().saturating_sub(1);
            check_link(&member, depth, inflater)?;
            Entry::Symlink {
                size,
                source: member.packed,
            }
        }
    };
    tree.insert(&path, entry).map_err(|error| {
        let name = shown(&name);
        match error {
            InsertError::Duplicate => PublishError::Duplicate { name },
            InsertError::Clash => PublishError::Clash { name },
            InsertError::Path => PublishError::NoName { name },
        }
    })?;
    if tree.len() > limits.entries {
        return Err(PublishError::TooManyEntries {
            limit: limits.entries,
        });
    }
    Ok(())
}

fn check_link(
    member: &Member<'_>,
    depth: usize,
    inflater: &mut Inflater,
) -> Result<(), PublishError> {
    let refuse = |defect| PublishError::Symlink {
        name: shown(member.name),
        defect,
    };
    if member.packed.size > TARGET_BYTES {
        return Err(refuse(LinkDefect::Unreadable));
    }
    let mut target = Vec::new();
    inflater.unpack(&member.packed, |piece| {
        target.extend_from_slice(piece);
        Ok(())
    })?;
    link::check(&target, depth).map_err(refuse)
}
