//! The names of an image, before it is written.

use std::collections::BTreeMap;

use super::format::{FileType, NAME_LEN};

/// A directory tree whose files and links have a size now and contents later, from a source of type `S`.
#[derive(Debug)]
pub struct Tree<S> {
    nodes: Vec<Node<S>>,
}

/// What a path of a [`Tree`] names.
#[derive(Debug)]
pub enum Entry<S> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes of its contents.
        size: u64,
        /// Mode 0755, else 0644.
        executable: bool,
        /// Where the contents come from.
        source: S,
    },
    /// A symbolic link, whose contents are its target.
    Symlink {
        /// Bytes of the target.
        size: u64,
        /// Where the target comes from.
        source: S,
    },
}

/// Why a path cannot be in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// A component is empty, `.`, `..`, over 255 bytes, or has a NUL or a slash in it.
    #[error("the path is not valid")]
    Path,
    /// The path is taken.
    #[error("the path is there already")]
    Duplicate,
    /// The path is taken by a directory, or a directory would take a path that is taken otherwise.
    #[error("the path is a directory and something else at once")]
    Clash,
}

#[derive(Debug)]
pub(super) struct Node<S> {
    pub(super) parent: NodeId,
    pub(super) kind: Kind<S>,
}

#[derive(Debug)]
pub(super) enum Kind<S> {
    Directory(Children),
    Content {
        file_type: FileType,
        size: u64,
        source: S,
    },
}

/// Names in the order in which the kernel searches them: bytewise.
pub(super) type Children = BTreeMap<Box<[u8]>, NodeId>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) const ROOT: NodeId = NodeId(0);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl<S> Default for Tree<S> {
    fn default() -> Self {
        let root = Node {
            parent: NodeId::ROOT,
            kind: Kind::Directory(Children::new()),
        };
        Self { nodes: vec![root] }
    }
}

impl<S> Tree<S> {
    /// A tree with an empty root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names in the tree, without the root.
    pub fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds `entry` at a path given by its components, and the directories that lead there. A directory
    /// that is there already is no error.
    pub fn insert(&mut self, path: &[&[u8]], entry: Entry<S>) -> Result<(), InsertError> {
        self.place(path, entry, false)
    }

    /// Like [`Tree::insert`], but takes the place of a file or link of the same path. On error the tree
    /// is as it was, but for directories that lead to the path.
    pub fn replace(&mut self, path: &[&[u8]], entry: Entry<S>) -> Result<(), InsertError> {
        self.place(path, entry, true)
    }

    fn place(&mut self, path: &[&[u8]], entry: Entry<S>, replace: bool) -> Result<(), InsertError> {
        if !path.iter().all(|name| is_name(name)) {
            return Err(InsertError::Path);
        }
        let (name, parents) = path.split_last().ok_or(InsertError::Path)?;
        let mut parent = NodeId::ROOT;
        for name in parents {
            parent = match self.child(parent, name) {
                Some(id) => id,
                None => self.add(parent, name, Kind::Directory(Children::new())),
            };
            if !matches!(self.node(parent).kind, Kind::Directory(_)) {
                return Err(InsertError::Clash);
            }
        }
        let kind = Kind::from(entry);
        let Some(there) = self.child(parent, name) else {
            self.add(parent, name, kind);
            return Ok(());
        };
        match (&mut self.nodes[there.index()].kind, kind) {
            (Kind::Directory(_), Kind::Directory(_)) => Ok(()),
            (old @ Kind::Content { .. }, new @ Kind::Content { .. }) if replace => {
                *old = new;
                Ok(())
            }
            (Kind::Content { .. }, Kind::Content { .. }) => Err(InsertError::Duplicate),
            _ => Err(InsertError::Clash),
        }
    }

    fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.node(parent).kind {
            Kind::Directory(children) => children.get(name).copied(),
            Kind::Content { .. } => None,
        }
    }

    fn add(&mut self, parent: NodeId, name: &[u8], kind: Kind<S>) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).expect("memory ends before ids do"));
        self.nodes.push(Node { parent, kind });
        if let Kind::Directory(children) = &mut self.nodes[parent.index()].kind {
            children.insert(name.into(), id);
        }
        id
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<S> {
        &self.nodes[id.index()]
    }

    /// Every node, each directory before what is in it, and names in their order: the one order that
    /// does not depend on how the tree came to be.
    pub(super) fn walk(&self) -> impl Iterator<Item = NodeId> {
        let mut pending = vec![NodeId::ROOT];
        std::iter::from_fn(move || {
            let id = pending.pop()?;
            if let Kind::Directory(children) = &self.node(id).kind {
                pending.extend(children.values().rev());
            }
            Some(id)
        })
    }
}

impl<S> Kind<S> {
    pub(super) fn file_type(&self) -> FileType {
        match self {
            Kind::Directory(_) => FileType::Directory,
            Kind::Content { file_type, .. } => *file_type,
        }
    }
}

impl<S> From<Entry<S>> for Kind<S> {
    fn from(entry: Entry<S>) -> Self {
        match entry {
            Entry::Directory => Kind::Directory(Children::new()),
            Entry::File {
                size,
                executable,
                source,
            } => Kind::Content {
                file_type: FileType::Regular { executable },
                size,
                source,
            },
            Entry::Symlink { size, source } => Kind::Content {
                file_type: FileType::Symlink,
                size,
                source,
            },
        }
    }
}

fn is_name(name: &[u8]) -> bool {
    (1..=NAME_LEN).contains(&name.len())
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}
