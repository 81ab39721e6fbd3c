//! A blocking HTTP/1.1 client with one kept-open connection: little enough of its own that what it
//! measures is the server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Head as text.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
    /// From the request's first byte written to the answer's first byte read.
    pub first_byte: Duration,
}

impl Answer {
    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A request as bytes, ready to be sent any number of times.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Connection {
    /// Connects to `address`.
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        })
    }

    /// Sends one request and reads its answer, which must have a Content-Length.
    pub(crate) fn call(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.buffer.clear();
        let begin = Instant::now();
        self.stream.write_all(request)?;
        self.fill()?;
        let first_byte = begin.elapsed();
        let head_length = loop {
            match self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.fill()?,
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_length]).into_owned();
        let status = head
            .get(9..12)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
            first_byte,
        };
        let length = match answer.header("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => length,
            _ if status == 204 => 0,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "no content-length",
                ));
            }
        };
        while self.buffer.len() < head_length + length {
            self.fill()?;
        }
        answer.body = self.buffer[head_length..head_length + length].to_vec();
        Ok(answer)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }
}
