//! The output of a compile step: any number of `[u32 path length][path][u32 data length][data]`, lengths
//! in little endian, and then the end. The writer is the user's code for all we know.

use std::collections::HashSet;
use std::io;

use bytes::Bytes;
use pilotlight_model::node::CompiledFile;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Files of one compile step.
const FILES: usize = 100_000;
/// Bytes of a path.
const PATH_BYTES: u64 = 4096;
/// Bytes of all files together.
const TOTAL_BYTES: u64 = 300 * 1024 * 1024;

/// Why the output cannot be used from some point on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("it ends in the middle of a file")]
    Truncated,
    #[error("it has more than {FILES} files")]
    Files,
    #[error("it has more than {TOTAL_BYTES} bytes, or a path of more than {PATH_BYTES}")]
    Size,
    #[error("'{0}' is not the path of a byte code file, or is there twice")]
    Path(String),
    #[error("it cannot be read")]
    Read(#[from] io::Error),
}

/// Reads files until the end of the output. On an error `files` holds what came before it.
pub(super) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    files: &mut Vec<CompiledFile>,
) -> Result<(), FrameError> {
    let mut from = tokio::io::BufReader::with_capacity(64 * 1024, from);
    let mut room = TOTAL_BYTES;
    let mut seen = HashSet::new();
    while let Some(length) = length_or_end(&mut from).await? {
        if files.len() == FILES {
            return Err(FrameError::Files);
        }
        let path = bytes(&mut from, length, PATH_BYTES).await?;
        let path = String::from_utf8(path).map_err(|error| FrameError::Path(error.to_string()))?;
        if !is_byte_code(&path) || !seen.insert(path.clone()) {
            return Err(FrameError::Path(path));
        }
        let length = length_or_end(&mut from)
            .await?
            .ok_or(FrameError::Truncated)?;
        let data = bytes(&mut from, length, room).await?;
        room -= length;
        files.push(CompiledFile {
            path,
            bytes: Bytes::from(data),
        });
    }
    Ok(())
}

/// A byte code file next to the user's sources: `[<folder>/…]__pycache__/<name>.pyc`, nothing else.
fn is_byte_code(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains('\0');
    parts.iter().all(plain)
        && matches!(parts[..], [.., "__pycache__", name] if name.len() > 4 && name.ends_with(".pyc"))
}

async fn length_or_end(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<u64>, FrameError> {
    let mut length = [0; 4];
    let mut got = 0;
    while got < length.len() {
        match from.read(&mut length[got..]).await? {
            0 if got == 0 => return Ok(None),
            0 => return Err(FrameError::Truncated),
            count => got += count,
        }
    }
    Ok(Some(u64::from(u32::from_le_bytes(length))))
}

/// Reads that many bytes. Memory follows what really comes, not what was announced.
async fn bytes(
    from: &mut (impl AsyncRead + Unpin),
    length: u64,
    limit: u64,
) -> Result<Vec<u8>, FrameError> {
    if length > limit {
        return Err(FrameError::Size);
    }
    let mut bytes = Vec::new();
    let got = from.take(length).read_to_end(&mut bytes).await?;
    if got as u64 == length {
        Ok(bytes)
    } else {
        Err(FrameError::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(path: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [path.as_bytes(), data] {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    fn parse(output: &[u8]) -> (Vec<CompiledFile>, Result<(), FrameError>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let mut files = Vec::new();
        let ended = runtime.block_on(read(&mut &*output, &mut files));
        (files, ended)
    }

    #[test]
    fn whole_output_is_read() {
        let mut output = frame("__pycache__/a.cpython-311.pyc", b"one");
        output.extend(frame("pkg/sub/__pycache__/b.cpython-311.pyc", b""));
        let (files, ended) = parse(&output);
        ended.unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0].bytes, "one");
        assert_eq!(files[1].path, "pkg/sub/__pycache__/b.cpython-311.pyc");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "/__pycache__/a.pyc",
            "../__pycache__/a.pyc",
            "a/../__pycache__/a.pyc",
            "a//__pycache__/a.pyc",
            "./__pycache__/a.pyc",
            "a.pyc",
            "__pycache__/a.py",
            "__pycache__/.pyc",
            "__pycache__/b/a.pyc",
            "__pycache__/a\0.pyc",
            "",
        ] {
            let (files, ended) = parse(&frame(path, b"x"));
            assert!(matches!(ended, Err(FrameError::Path(_))), "{path:?}");
            assert!(files.is_empty());
        }
    }

    #[test]
    fn what_came_before_an_error_stands() {
        let good = frame("__pycache__/a.pyc", b"one");
        let twice = [good.clone(), good.clone()].concat();
        let (files, ended) = parse(&twice);
        assert!(matches!(ended, Err(FrameError::Path(_))));
        assert_eq!(files.len(), 1);
        let huge = [
            good,
            frame("__pycache__/b.pyc", b"")[..21].to_vec(),
            vec![0xff; 4],
        ]
        .concat();
        let (files, ended) = parse(&huge);
        assert!(matches!(ended, Err(FrameError::Size)), "{ended:?}");
        assert_eq!(files.len(), 1);
    }

    proptest! {
        #[test]
        fn a_cut_is_noticed(cut in 1..40usize) {
            let whole = frame("__pycache__/abcd.pyc", b"0123456789");
            let cut = cut.min(whole.len() - 1);
            prop_assert!(matches!(parse(&whole[..cut]).1, Err(FrameError::Truncated)));
        }

        #[test]
        fn garbage_does_no_harm(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
            for file in parse(&garbage).0 {
                prop_assert!(is_byte_code(&file.path));
            }
        }
    }
}
