//! Packages of code.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A package in base64, different for every text.
pub(crate) fn inline(text: &str) -> String {
    BASE64_STANDARD.encode(zip(text))
}

/// The package itself.
pub(crate) fn zip(text: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("app.py", zip::write::SimpleFileOptions::default())
        .unwrap();
    write!(
        writer,
        "# {text}\ndef handler(event, context):\n    return event\n"
    )
    .unwrap();
    writer.finish().unwrap().into_inner()
}

/// A package in base64 with one file of that many bytes, which is as small as a package may be for it.
pub(crate) fn big_zip(bytes: usize) -> String {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("data", options).unwrap();
    // One byte in a hundred is no repetition.
    let mut seed = 1_u32;
    let block: Vec<u8> = (0..100 * 1024)
        .map(|index| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if index % 100 == 0 {
                (seed >> 24) as u8
            } else {
                0
            }
        })
        .collect();
    for _ in 0..bytes / block.len() {
        writer.write_all(&block).unwrap();
    }
    writer.write_all(&vec![0; bytes % block.len()]).unwrap();
    BASE64_STANDARD.encode(writer.finish().unwrap().into_inner())
}
