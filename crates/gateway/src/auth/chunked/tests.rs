//! Chunked bodies, whole, altered and cut short.

use proptest::prelude::*;

use super::super::signature::Signature;
use super::super::{Signed, credential::Credential};
use super::*;

/// The example of the S3 API reference: 65 KiB of `a` in chunks of 64 KiB.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const CHUNKS: [(usize, &str); 3] = [
    (
        65_536,
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    ),
    (
        1_024,
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    ),
    (
        0,
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ),
];
const SIGNED_BODY: Encoding = Encoding {
    signed: true,
    trailer: false,
    length: 66_560,
};

fn chain() -> Chain {
    let signed = Signed {
        credential: Credential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            date: "20130524".to_owned(),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        },
        headers: Vec::new(),
        signature: SEED.to_owned(),
        date: "20130524T000000Z".to_owned(),
        expires: None,
    };
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    Signature::new(&signed, String::new(), secret)
        .unwrap()
        .chain()
}

fn example() -> Vec<u8> {
    let chunk = |(size, signature): (usize, &str)| {
        let head = format!("{size:x};chunk-signature={signature}\r\n");
        [head.as_bytes(), &vec![b'a'; size], b"\r\n"].concat()
    };
    CHUNKS.map(chunk).concat()
}

#[test]
fn the_published_example_holds() {
    let body = SIGNED_BODY.decode(&example(), Some(chain())).unwrap();
    assert_eq!(body, vec![b'a'; 66_560]);
    assert_eq!(SIGNED_BODY.decode(&example(), None).unwrap(), body);
}

#[test]
fn a_changed_missing_or_added_chunk_does_not_pass() {
    let example = example();
    let mut changed = example.clone();
    changed[200] = b'b';
    let second = example.len() - 1_024 - 2 - 86 - 4 - 85;
    let missing = [&example[..second], &example[second + 1_024 + 2 + 87..]].concat();
    for wrong in [changed, missing, example[..example.len() - 90].to_vec()] {
        assert!(SIGNED_BODY.decode(&wrong, Some(chain())).is_err());
    }
    let unsigned = b"3\r\nabc\r\n0\r\n\r\n";
    let encoding = Encoding {
        length: 3,
        ..SIGNED_BODY
    };
    assert_eq!(encoding.decode(unsigned, None).unwrap(), "abc");
    assert_eq!(encoding.decode(unsigned, Some(chain())), Err(mismatch()));
}

#[test]
fn trailers_are_read_and_their_signature_is_needed() {
    let encoding = Encoding {
        signed: false,
        trailer: true,
        length: 3,
    };
    let body = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n";
    assert_eq!(encoding.decode(body, Some(chain())).unwrap(), "abc");
    let signed = Encoding {
        signed: true,
        trailer: true,
        length: 0,
    };
    let mut chain = chain();
    let empty = chain.sign_chunk(b"");
    let trailer = chain.sign_trailer(&hex(&Sha256::digest("x-amz-a:b\n").into()));
    let with = |signature: &str| {
        format!("0;chunk-signature={empty}\r\nX-Amz-A: b\r\n{TRAILER_SIGNATURE}{signature}\r\n\r\n")
    };
    let decode = |text: &str| signed.decode(text.as_bytes(), Some(self::chain()));
    assert_eq!(decode(&with(&trailer)).unwrap(), "");
    assert_eq!(decode(&with(SEED)), Err(mismatch()));
    let none = format!("0;chunk-signature={empty}\r\nx-amz-a:b\r\n\r\n");
    assert_eq!(decode(&none), Err(mismatch()));
}

#[test]
fn what_is_announced_must_come() {
    let unsigned = Encoding {
        signed: true,
        trailer: false,
        length: 3,
    };
    for wrong in [
        "",
        "0\r\n",
        "3\r\nab",
        "3\r\nabcd\r\n0\r\n\r\n",
        "2\r\nab\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\nmore",
        "ffffffffffffffffffff\r\nabc",
        "ffffffffffffffff\r\nabc",
    ] {
        assert!(
            unsigned.decode(wrong.as_bytes(), None).is_err(),
            "{wrong:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(
        signed: bool,
        trailer: bool,
        length in 0..10_usize,
        body in proptest::collection::vec(
            prop_oneof!["[0-9a-f]{0,4}(;chunk-signature=[0-9a-f]{0,4})?\r\n", "[a-z:]{0,6}", "\r\n"], 0..12,
        ),
    ) {
        let encoding = Encoding { signed, trailer, length };
        let text = body.concat();
        if let Ok(decoded) = encoding.decode(text.as_bytes(), None) {
            prop_assert_eq!(decoded.len(), length);
        }
        let _ = encoding.decode(text.as_bytes(), Some(chain()));
    }
}
