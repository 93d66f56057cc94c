//! A service in Rust: it greets by name and counts the visits of each.
//!
//!     GET /             Hello from Rust!
//!     GET /hello/ada    {"hello":"ada","visits":1}    counts this one
//!     GET /visits/ada   {"name":"ada","visits":1}     only tells
//!
//! Two standard interfaces are all it knows: `wasi:http` to be called, `wasi:keyvalue` to remember.
//! Which store stands behind the name `visits` is said in cyto.yaml, not here.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

mod keyvalue {
    wit_bindgen::generate!({ path: "../../wit/keyvalue.wit", world: "imports", generate_all });
    pub use wasi::keyvalue::{atomics, store};
}
use keyvalue::{atomics, store};

struct Hello;
wasip2::http::proxy::export!(Hello);

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        if path == "/" {
            return respond(out, 200, "text/plain", b"Hello from Rust!\n");
        }
        let (status, json) = match path.split_once('/').and_then(|(_, rest)| rest.split_once('/')) {
            Some(("hello", name)) => answer(visit(name).map(|visits| format!(r#"{{"hello":{},"visits":{visits}}}"#, quote(name)))),
            Some(("visits", name)) => answer(visits(name).map(|visits| format!(r#"{{"name":{},"visits":{visits}}}"#, quote(name)))),
            _ => (404, r#"{"error":"try /hello/{name}"}"#.to_string()),
        };
        respond(out, status, "application/json", json.as_bytes());
    }
}

fn visit(name: &str) -> Result<u64, store::Error> {
    atomics::increment(&store::open("visits")?, name, 1)
}

/// Adds nothing to what is there, which reads it as a number.
fn visits(name: &str) -> Result<u64, store::Error> {
    let bucket = store::open("visits")?;
    if bucket.exists(name)? { atomics::increment(&bucket, name, 0) } else { Ok(0) }
}

fn answer(outcome: Result<String, store::Error>) -> (u16, String) {
    match outcome {
        Ok(json) => (200, json),
        Err(error) => (503, format!(r#"{{"error":{}}}"#, quote(&error.to_string()))),
    }
}

/// Text as a JSON string. A name comes from a path, where anything unusual is percent-encoded.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn respond(out: ResponseOutparam, status: u16, content_type: &str, content: &[u8]) {
    let headers = [("content-type".to_string(), content_type.as_bytes().to_vec())];
    let response = OutgoingResponse::new(Fields::from_list(&headers).unwrap());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    for chunk in content.chunks(4096) {
        stream.blocking_write_and_flush(chunk).unwrap();
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}
