// Counts words, in Rust: routes, a body, a header, an option, state that the handler threads share, and a panic that stays inside.
//   POST /words       counts the words of the body: "3 words"
//   GET /words/WORD   how often it came, or 404
//   GET /             names the client's program
//   GET /panic        the client gets 500, the text goes to the log, and the worker serves on
//
// `narwhal-plugin new NAME --rust` makes a project with a Makefile, tests, and narwhal.rs, in which the ABI is declared. There the
// next two lines are `mod narwhal;`.
#[path = "../tools/templates/narwhal.rs.in"]
mod narwhal;

use narwhal::{App, Boot, Request, Response};
use std::collections::HashMap;
use std::sync::Mutex;

const WORD_MAX: usize = 100; // bytes

// One for each worker and mount: another worker has other counts.
struct Words {
    most: usize,
    counts: Mutex<HashMap<String, u64>>,
}

impl Words {
    fn count(&self, text: &str) -> Response {
        let mut counts = self.counts.lock().unwrap();
        let mut number = 0;
        for word in text.split_whitespace() {
            if word.len() > WORD_MAX {
                return Response::new(413, "a word is too long\n");
            }
            if counts.len() >= self.most && !counts.contains_key(word) {
                return Response::new(507, "no room for another word\n");
            }
            *counts.entry(word.to_string()).or_insert(0) += 1;
            number += 1;
        }
        Response::text(format!("{} words\n", number))
    }

    fn look_up(&self, word: &[u8]) -> Response {
        let counts = self.counts.lock().unwrap();
        match std::str::from_utf8(word).ok().and_then(|word| counts.get(word)) {
            Some(count) => Response::text(format!("{}\n", count)).header("Cache-Control", "no-store"),
            None => Response::not_found(),
        }
    }
}

impl App for Words {
    // An Err is why the worker does not boot.
    fn new(boot: &Boot) -> Result<Self, String> {
        let most = boot.option("most").ok_or("the option 'most' is missing")?;
        let most: usize = most.parse().map_err(|_| format!("most: '{}' is not a number of words", most))?;
        Ok(Words { most, counts: Mutex::new(HashMap::new()) })
    }

    fn handle(&self, request: &Request) -> Response {
        match (request.method(), request.path()) {
            (b"POST", b"/words") => match std::str::from_utf8(request.body()) {
                Ok(text) => self.count(text),
                Err(_) => Response::new(400, "the body is not UTF-8\n"),
            },
            (_, b"/words") => Response::new(405, "POST it\n").header("Allow", "POST"),
            (b"GET", b"/") => {
                let agent = request.header("User-Agent").unwrap_or(b"somebody");
                Response::text(format!("Hello, {}!\n", String::from_utf8_lossy(agent)))
            }
            (b"GET", b"/panic") => panic!("asked for"),
            (b"GET", path) if path.starts_with(b"/words/") => self.look_up(&path[b"/words/".len()..]),
            _ => Response::not_found(),
        }
    }
}

narwhal_plugin!(Words, name: "words", version: "1.0",
                options: [("most", "int", "1000", "different words that are kept")]);
