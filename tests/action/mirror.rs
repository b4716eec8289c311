//! A mirror of release assets on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use sandbox::faults::Answer;

/// Serves responses by path until the test ends, and keeps the requested paths.
pub(crate) struct Mirror {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Mirror {
    /// Starts a mirror; `answer` returns the bytes to send for a path, with the status line.
    pub(crate) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Mirror {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, noted, answer) = (stream.unwrap(), Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut reader = BufReader::new(&stream);
                    let mut request = String::new();
                    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap_or(0) > 0 {}
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    noted.lock().unwrap().push(path.clone());
                    // A client can close the connection before the end.
                    let _ = stream.write_all(&answer(&path));
                });
            }
        });
        Mirror { url, asked }
    }

    /// The requested paths so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A response with status 200 and these bytes.
pub(crate) fn found(bytes: &[u8]) -> Vec<u8> {
    Answer::new(200, "application/octet-stream", bytes).to_bytes()
}

/// A response with another status, without a body.
pub(crate) fn status(status: u16) -> Vec<u8> {
    Answer::new(status, "text/plain", "").to_bytes()
}
