//! The guest that the tests of the WASI hosts talk to: one path for each thing a component can do
//! to its host, well or badly. Parameters come in the query, `?name=value&…`, without escapes.

use std::fmt::Write as _;
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
    RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

mod capabilities {
    wit_bindgen::generate!({
        inline: "
            package test:probe;
            world capabilities {
                include wasi:keyvalue/imports@0.2.0-draft;
                include wasi:config/imports@0.2.0-rc.1;
                include wasi:logging/imports@0.1.0-draft;
                include cytoplane:secrets/imports@0.1.0;
            }
        ",
        path: [
            "../../../wit/keyvalue.wit",
            "../../../wit/config.wit",
            "../../../wit/logging.wit",
            "../../../wit/secrets.wit",
        ],
        world: "test:probe/capabilities",
        generate_all,
    });
}
use capabilities::cytoplane::secrets::store as secrets;
use capabilities::wasi::config::store as config;
use capabilities::wasi::keyvalue::{atomics, batch, store};
use capabilities::wasi::logging::logging;

struct Probe;
wasip2::http::proxy::export!(Probe);

impl wasip2::exports::http::incoming_handler::Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let query = Query(query);
        match path {
            "/hello" => hello(out),
            "/echo" => echo(request, out),
            "/splice" => splice(request, out),
            "/count" => text(out, &count(request).to_string()),
            "/request" => text(out, &describe(&request)),
            "/stream" => stream(out, query.number("chunks")),
            "/poll" => poll(out),
            "/header" => header(out, query.get("name"), query.get("value")),
            "/status" => respond(out, query.number("code") as u16, &[], b""),
            "/length" => length(out, query.number("declared"), query.number("actual") as usize),
            "/trailers" => trailers(out),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("on purpose".into())))),
            "/none" => std::mem::forget(out),
            "/drop" => drop(out),
            "/trap" => panic!("on purpose"),
            "/trap-late" => trap_late(out),
            "/abandon" => abandon(out),
            "/exit" => std::process::exit(3),
            "/fetch" => fetch(request, out),
            "/fetch-early" => fetch_timeout(out, query.get("target"), query.number("ms")),
            "/keyvalue" => text(out, &keyvalue(query.get("bucket")).unwrap_or_else(|error| format!("{error:?}"))),
            "/visit" => text(out, &visit().to_string()),
            "/after" => after(out, query.number("ms")),
            "/config" => text(out, &format!("{:?} {:?} {:?}", config::get("greeting"), config::get("absent"), config::get_all())),
            "/secret" => text(out, &format!("{:?}", secrets::get(query.get("name")))),
            "/random" => random(out),
            "/clock" => clock(out),
            "/sleep" => sleep(out, query.number("ms")),
            _ => respond(out, 404, &[], b"no such path"),
        }
    }
}

struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn get(&self, name: &str) -> &'a str {
        self.0.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map_or("", |(_, value)| value)
    }
    fn number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or(0)
    }
}

fn respond(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)], content: &[u8]) {
    let response = OutgoingResponse::new(Fields::from_list(headers).unwrap());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    if !content.is_empty() {
        write_all(&stream, content).unwrap();
    }
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

fn text(out: ResponseOutparam, content: &str) {
    respond(out, 200, &[("content-type".into(), b"text/plain".to_vec())], content.as_bytes());
}

fn write_all(stream: &OutputStream, content: &[u8]) -> Result<(), StreamError> {
    content.chunks(4096).try_for_each(|chunk| stream.blocking_write_and_flush(chunk))
}

fn hello(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    stream.blocking_write_and_flush(b"Hello, WASI!").unwrap();
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

/// Calls `each` for every chunk until the end; answers false when the stream fails.
fn read_all(input: &InputStream, mut each: impl FnMut(&[u8]) -> bool) -> bool {
    loop {
        match input.blocking_read(65536) {
            Ok(chunk) => if !each(&chunk) { return false },
            Err(StreamError::Closed) => return true,
            Err(StreamError::LastOperationFailed(_)) => return false,
        }
    }
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let whole = read_all(&input, |chunk| write_all(&stream, chunk).is_ok());
    drop(stream);
    if whole {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn splice(request: IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    while stream.blocking_splice(&input, 65536).is_ok() {}
    stream.blocking_flush().unwrap();
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

fn count(request: IncomingRequest) -> u64 {
    let incoming = request.consume().unwrap();
    let input = incoming.stream().unwrap();
    let mut total = 0;
    read_all(&input, |chunk| {
        total += chunk.len() as u64;
        true
    });
    total
}

fn describe(request: &IncomingRequest) -> String {
    let mut lines = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.method(),
        request.scheme(),
        request.authority(),
        request.path_with_query(),
    );
    let headers = request.headers();
    for (name, value) in headers.entries() {
        writeln!(lines, "{name}: {}", String::from_utf8_lossy(&value)).unwrap();
    }
    writeln!(lines, "immutable: {:?}", headers.append("x", b"y")).unwrap();
    lines
}

/// Writes `chunks` pieces of 4096 bytes, waiting only where the stream says so.
fn stream(out: ResponseOutparam, chunks: u64) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let piece = [b'x'; 4096];
    for _ in 0..chunks {
        loop {
            match stream.check_write() {
                Ok(0) => stream.subscribe().block(),
                Ok(room) if room >= 4096 => break,
                Ok(_) => stream.blocking_flush().unwrap(),
                Err(_) => return,
            }
        }
        stream.write(&piece).unwrap();
    }
    stream.blocking_flush().unwrap();
    drop(stream);
    OutgoingBody::finish(body, None).unwrap();
}

fn poll(out: ResponseOutparam) {
    let late = monotonic_clock::subscribe_duration(60_000_000_000);
    let soon = monotonic_clock::subscribe_duration(1_000_000);
    let first = wasip2::io::poll::poll(&[&late, &soon]);
    text(out, &format!("{first:?} {} {}", late.ready(), soon.ready()));
}

fn header(out: ResponseOutparam, name: &str, value: &str) {
    let fields = Fields::new();
    let outcome = fields.append(name, value.replace("%0A", "\n").as_bytes());
    text(out, &format!("{outcome:?} {:?} {}", fields.get(name), fields.has(name)));
}

fn length(out: ResponseOutparam, declared: u64, actual: usize) {
    let response = OutgoingResponse::new(Fields::from_list(&[("content-length".into(), declared.to_string().into_bytes())]).unwrap());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let _ = write_all(&stream, &vec![b'x'; actual]);
    drop(stream);
    let finished = OutgoingBody::finish(body, None);
    logging::log(logging::Level::Info, "length", &format!("{finished:?}"));
}

fn trailers(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    write_all(&stream, b"with trailers").unwrap();
    drop(stream);
    let trailers = Fields::from_list(&[("x-sum".into(), b"1".to_vec())]).unwrap();
    OutgoingBody::finish(body, Some(trailers)).unwrap();
}

fn trap_late(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    write_all(&stream, &vec![b'x'; 200_000]).unwrap();
    panic!("half way");
}

fn abandon(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    write_all(&stream, b"unfinished").unwrap();
}

/// Sends its own body on to the URL in the header `x-target` and gives back what comes.
fn fetch(request: IncomingRequest, out: ResponseOutparam) {
    let headers = request.headers();
    let target = String::from_utf8(headers.get("x-target").remove(0)).unwrap();
    let (scheme, rest) = target.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let outgoing = OutgoingRequest::new(headers.clone());
    outgoing.set_method(&request.method()).unwrap();
    outgoing.set_scheme(Some(&if scheme == "http" { Scheme::Http } else { Scheme::Https })).unwrap();
    outgoing.set_authority(Some(authority)).unwrap();
    outgoing.set_path_with_query(Some(path)).unwrap();
    let body = outgoing.body().unwrap();
    let pending = match outgoing_handler::handle(outgoing, None) {
        Ok(pending) => pending,
        Err(error) => return text(out, &format!("{error:?}")),
    };
    if matches!(request.method(), Method::Post) {
        let incoming = request.consume().unwrap();
        let input = incoming.stream().unwrap();
        let stream = body.write().unwrap();
        read_all(&input, |chunk| write_all(&stream, chunk).is_ok());
    }
    let _ = OutgoingBody::finish(body, None);
    pending.subscribe().block();
    let answer = match pending.get().unwrap().unwrap() {
        Ok(answer) => answer,
        Err(error) => return text(out, &format!("{error:?}")),
    };
    let response = OutgoingResponse::new(answer.headers().clone());
    response.set_status_code(answer.status()).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let incoming = answer.consume().unwrap();
    let input = incoming.stream().unwrap();
    let whole = read_all(&input, |chunk| write_all(&stream, chunk).is_ok());
    drop(stream);
    if whole {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn fetch_timeout(out: ResponseOutparam, authority: &str, ms: u64) {
    let outgoing = OutgoingRequest::new(Fields::new());
    outgoing.set_scheme(Some(&Scheme::Http)).unwrap();
    outgoing.set_authority(Some(authority)).unwrap();
    let options = RequestOptions::new();
    options.set_first_byte_timeout(Some(ms * 1_000_000)).unwrap();
    let pending = outgoing_handler::handle(outgoing, Some(options)).unwrap();
    pending.subscribe().block();
    let answer = pending.get().unwrap().unwrap().map(|answer| answer.status());
    text(out, &format!("{answer:?} {:?}", pending.get().map(|second| second.is_err())));
}

fn keyvalue(name: &str) -> Result<String, store::Error> {
    let bucket = store::open(name)?;
    bucket.set("a", b"1")?;
    bucket.set("b", &[0, 255])?;
    let mut lines = format!("{:?} {:?} {:?} {:?}\n", bucket.get("a")?, bucket.get("b")?, bucket.get("c")?, bucket.exists("a")?);
    bucket.delete("a")?;
    writeln!(lines, "{:?} {}", bucket.get("a")?, atomics::increment(&bucket, "n", 5)?).unwrap();
    batch::set_many(&bucket, &[("x".into(), b"10".to_vec()), ("y".into(), b"20".to_vec())])?;
    writeln!(lines, "{:?}", batch::get_many(&bucket, &["x".into(), "gone".into(), "y".into()])?).unwrap();
    batch::delete_many(&bucket, &["x".into()])?;
    let mut cursor = None;
    loop {
        let page = bucket.list_keys(cursor)?;
        write!(lines, "{:?}", page.keys).unwrap();
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(lines);
        }
    }
}

fn visit() -> u64 {
    atomics::increment(&store::open("visits").unwrap(), "count", 1).unwrap()
}

/// Work that goes on when the reply is complete.
fn after(out: ResponseOutparam, ms: u64) {
    text(out, "answered");
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
    visit();
}

fn random(out: ResponseOutparam) {
    use wasip2::random::{insecure, insecure_seed, random};
    let bytes = random::get_random_bytes(16);
    let _ = (random::get_random_u64(), insecure::get_insecure_random_u64(), insecure_seed::insecure_seed());
    text(out, &format!("{} {}", bytes.len(), insecure::get_insecure_random_bytes(3).len()));
}

fn clock(out: ResponseOutparam) {
    let now = wasip2::clocks::wall_clock::now();
    let before = monotonic_clock::now();
    let later = monotonic_clock::now();
    text(out, &format!("{} {}", now.seconds, later >= before && monotonic_clock::resolution() > 0));
}

fn sleep(out: ResponseOutparam, ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
    text(out, "slept");
}
