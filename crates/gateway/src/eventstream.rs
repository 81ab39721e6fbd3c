//! `application/vnd.amazon.eventstream`: messages with headers and checksums, as AWS streams them.
//!
//! Source: "Event stream encoding" of the Amazon Transcribe developer guide. A message is its length and that of its
//! headers (big endian, four bytes each), a CRC-32 of these eight bytes, the headers, the payload, and a CRC-32 of all
//! before it.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes before the headers: two lengths and a checksum.
const PRELUDE_BYTES: usize = 12;
/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 4;
/// A header's type: text of up to 64 KiB.
const STRING: u8 = 7;

/// A header whose value is text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    /// Up to 255 bytes.
    pub(crate) name: &'a str,
    /// Up to 65,535 bytes.
    pub(crate) value: &'a str,
}

/// One message.
pub(crate) fn message(headers: &[Header<'_>], payload: &[u8]) -> Bytes {
    let sizes = headers.iter().map(|it| 4 + it.name.len() + it.value.len());
    let headers_bytes: usize = sizes.sum();
    let total = PRELUDE_BYTES + headers_bytes + payload.len() + CHECKSUM_BYTES;
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(length(total));
    out.put_u32(length(headers_bytes));
    out.put_u32(crc32fast::hash(&out));
    for Header { name, value } in headers {
        out.put_u8(u8::try_from(name.len()).expect("names of headers are short constants"));
        out.put_slice(name.as_bytes());
        out.put_u8(STRING);
        out.put_u16(u16::try_from(value.len()).expect("values of headers are short constants"));
        out.put_slice(value.as_bytes());
    }
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("answers are far smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a message by the letter of the specification: headers, payload, and what follows it.
    fn read(mut data: &[u8]) -> (Vec<(String, String)>, Vec<u8>, &[u8]) {
        let number = |data: &[u8]| u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
        let (total, headers_bytes) = (number(data), number(&data[4..]));
        assert_eq!(number(&data[8..]) as u32, crc32fast::hash(&data[..8]));
        let whole = &data[..total];
        assert_eq!(
            number(&whole[total - 4..]) as u32,
            crc32fast::hash(&whole[..total - 4])
        );
        let rest = &data[total..];
        let (mut headers, payload) = whole[12..total - 4].split_at(headers_bytes);
        let mut found = Vec::new();
        let mut take = |count: usize| {
            let (taken, left) = headers.split_at(count);
            headers = left;
            (taken.to_vec(), left.is_empty())
        };
        let mut done = headers_bytes == 0;
        while !done {
            let size = usize::from(take(1).0[0]);
            let name = String::from_utf8(take(size).0).unwrap();
            assert_eq!(take(1).0, [7]);
            let size = take(2).0;
            let size = usize::from(u16::from_be_bytes([size[0], size[1]]));
            let (value, last) = take(size);
            found.push((name, String::from_utf8(value).unwrap()));
            done = last;
        }
        data = rest;
        (found, payload.to_vec(), data)
    }

    #[test]
    fn messages_are_those_of_aws_s_own_vectors() {
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert_eq!(hex(&message(&[], b"")), "000000100000000005c248eb7d98c8ff");
        let payload = b"{'foo':'bar'}";
        assert_eq!(
            hex(&message(&[], payload)),
            "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936"
        );
        let header = Header {
            name: "content-type",
            value: "application/json",
        };
        assert_eq!(
            hex(&message(&[header], payload)),
            "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e\
             7b27666f6f273a27626172277d8d9c08b1"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            headers in proptest::collection::vec(("[a-z:-]{1,255}", "\\PC{0,300}"), 0..6),
            payload in proptest::collection::vec(any::<u8>(), 0..5_000),
        ) {
            let given: Vec<Header<'_>> = headers.iter().map(|(name, value)| Header { name, value }).collect();
            let mut two = message(&given, &payload).to_vec();
            two.extend_from_slice(&message(&[], b"next"));
            let (found, read_payload, rest) = read(&two);
            prop_assert_eq!(found, headers);
            prop_assert_eq!(read_payload, payload);
            prop_assert_eq!(read(rest), (Vec::new(), b"next".to_vec(), &[][..]));
        }
    }
}
