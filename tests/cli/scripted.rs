//! A server whose every byte a test writes, and which keeps every byte that comes.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sandbox::faults::Answer;

/// Listens on loopback, and answers one connection after another with the given bytes.
pub(crate) struct Scripted {
    /// `127.0.0.1:port`.
    pub(crate) host: String,
    served: JoinHandle<Vec<String>>,
}

impl Scripted {
    /// Starts with the answers to give.
    pub(crate) fn start(answers: Vec<Vec<u8>>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let served = thread::spawn(move || {
            let answer = |answer: Vec<u8>| {
                let mut stream = accept(&listener);
                let request = read_request(&mut stream);
                // A client may have seen enough before the end.
                let _ = stream.write_all(&answer);
                request
            };
            answers.into_iter().map(answer).collect()
        });
        Scripted { host, served }
    }

    /// The requests, byte by byte, once every answer was given.
    pub(crate) fn requests(self) -> Vec<String> {
        self.served.join().unwrap()
    }
}

/// A port on which nothing listens: that of tcpmux. (A free one can be another test's a moment later.)
pub(crate) fn closed_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 1).into()
}

/// The next connection; a test whose client stays away fails instead of waiting for ever.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let began = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(began.elapsed() < Duration::from_secs(30), "no connection came");
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A complete 200 with a JSON body.
pub(crate) fn json(body: &str) -> Vec<u8> {
    Answer::json(200, body).to_bytes()
}

/// Reads up to the end of the body.
pub(crate) fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut request).unwrap() > 0, "the request ends early: {request}");
    }
    let length =
        request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}
