//! One path for each thing that a `wasi:http` 0.3 service can do to its host, well or badly.
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::exports::http::handler::Guest;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme, Trailers};
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader, StreamResult, StreamWriter};
use wasip3::{random, spawn_local, wit_future, wit_stream};

struct Handler;
wasip3::http::service::export!(Handler);

type Answer = Result<Response, ErrorCode>;
type TrailersResult = Result<Option<Trailers>, ErrorCode>;

impl Guest for Handler {
    async fn handle(request: Request) -> Answer {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query(query);
        match path {
            "/hello" => text("Hello, WASI 0.3!"),
            "/request" => describe(request),
            "/echo" => echo(request),
            "/copy" => copy(request),
            "/count" => count(request).await,
            "/first" => first(request).await,
            "/trailers" => trailing(Ok(Some(fields(&[("x-sum", "1"), ("x-sum", "2")])))),
            "/trailer-error" => trailing(Err(ErrorCode::InternalError(Some("on purpose".to_string())))),
            "/error" => Err(ErrorCode::InternalError(Some("on purpose".to_string()))),
            "/trap" => panic!("on purpose"),
            "/trap-late" => trap_late(),
            "/length" => length(query),
            "/status" => {
                let response = empty(Fields::new());
                let _ = response.set_status_code(query.number("code") as u16);
                Ok(response)
            }
            "/header" => header(query),
            "/stream" => stream(query.number("chunks")),
            "/sleep" => {
                monotonic_clock::wait_for(query.number("ms") * 1_000_000).await;
                text("slept")
            }
            "/busy" => loop {
                std::hint::black_box(query.number("ms"));
            },
            "/after" => after(query.number("ms")),
            "/clock" => clock().await,
            "/random" => {
                let bytes = random::random::get_random_bytes(32);
                text(&format!("{} {}", bytes.len(), bytes != random::insecure::get_insecure_random_bytes(32)))
            }
            "/fetch" => fetch(request).await,
            "/fetch-text" => fetch_text(query, None).await,
            "/fetch-timeout" => {
                let options = RequestOptions::new();
                options.set_first_byte_timeout(Some(query.number("ms") * 1_000_000)).unwrap();
                fetch_text(query, Some(options)).await
            }
            "/fetch-drop" => fetch_drop(query).await,
            "/upload" => upload(query).await,
            "/unsent" => unsent().await,
            _ => {
                let response = empty(Fields::new());
                response.set_status_code(404).unwrap();
                Ok(response)
            }
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

fn fields(list: &[(&str, &str)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in list {
        fields.append(name, value.as_bytes()).unwrap();
    }
    fields
}

/// Trailers that are none, known at once.
fn no_trailers() -> FutureReader<TrailersResult> {
    wit_future::new(|| Ok(None)).1
}

fn handled() -> FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}

fn empty(headers: Fields) -> Response {
    Response::new(headers, None, no_trailers()).0
}

fn text(content: &str) -> Answer {
    let (mut writer, reader) = wit_stream::new();
    let content = content.as_bytes().to_vec();
    spawn_local(async move {
        writer.write_all(content).await;
    });
    Ok(Response::new(fields(&[("content-type", "text/plain")]), Some(reader), no_trailers()).0)
}

/// The request as the guest sees it.
fn describe(request: Request) -> Answer {
    let mut lines = format!(
        "{:?} {:?} {:?} {:?}\n",
        request.get_method(),
        request.get_scheme(),
        request.get_authority(),
        request.get_path_with_query()
    );
    let headers = request.get_headers();
    for (name, value) in headers.copy_all() {
        lines += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    lines += &format!("immutable: {:?} {:?}\n", headers.append("x", b"y"), headers.clone().append("x", b"y"));
    text(&lines)
}

/// The body and its trailers on their way back, not a byte of them seen.
fn echo(request: Request) -> Answer {
    let (body, trailers) = Request::consume_body(request, handled());
    Ok(Response::new(Fields::new(), Some(body), trailers).0)
}

/// The same, each chunk through the guest.
fn copy(request: Request) -> Answer {
    let (mut body, trailers) = Request::consume_body(request, handled());
    let (mut writer, reader) = wit_stream::new();
    let (trailers_writer, trailers_reader) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        loop {
            let (result, chunk) = body.read(Vec::with_capacity(65_536)).await;
            if !writer.write_all(chunk).await.is_empty() || matches!(result, StreamResult::Dropped) {
                break;
            }
        }
        drop(writer);
        let _ = trailers_writer.write(trailers.await).await;
    });
    Ok(Response::new(Fields::new(), Some(reader), trailers_reader).0)
}

async fn count(request: Request) -> Answer {
    let (body, trailers) = Request::consume_body(request, handled());
    let bytes = body.collect().await.len();
    let trailers = trailers.await.map(|trailers| trailers.map(|fields| fields.copy_all()));
    text(&format!("{bytes} {trailers:?}"))
}

/// Wants the first bytes of the body and says that this is all right.
async fn first(request: Request) -> Answer {
    let (mut body, trailers) = Request::consume_body(request, handled());
    let (_, chunk) = body.read(Vec::with_capacity(4)).await;
    drop(body);
    let ended = trailers.await.is_ok();
    text(&format!("{} {ended}", String::from_utf8_lossy(&chunk)))
}

fn trailing(result: TrailersResult) -> Answer {
    let (mut writer, reader) = wit_stream::new();
    let (trailers_writer, trailers_reader) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        writer.write_all(b"body".to_vec()).await;
        drop(writer);
        let _ = trailers_writer.write(result).await;
    });
    Ok(Response::new(fields(&[("trailer", "x-sum")]), Some(reader), trailers_reader).0)
}

fn trap_late() -> Answer {
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        writer.write_all(b"some".to_vec()).await;
        monotonic_clock::wait_for(1_000_000).await;
        panic!("on purpose");
    });
    Ok(Response::new(Fields::new(), Some(reader), no_trailers()).0)
}

/// Says that the body has one length and writes another; logs what it hears of that.
fn length(query: Query) -> Answer {
    let (mut writer, reader) = wit_stream::new();
    let actual = query.number("actual") as usize;
    let (response, sent) = Response::new(fields(&[("content-length", query.get("declared"))]), Some(reader), no_trailers());
    spawn_local(async move {
        writer.write_all(vec![b'x'; actual]).await;
        drop(writer);
        eprintln!("sent: {:?}", sent.await);
    });
    Ok(response)
}

fn header(query: Query) -> Answer {
    let headers = Fields::new();
    let value = query.get("value").replace("%0A", "\n");
    let appended = headers.append(query.get("name"), value.as_bytes());
    text(&format!("{appended:?} {:?}", headers.copy_all()))
}

/// Writes on until it is through or nobody reads; logs which.
fn stream(chunks: u64) -> Answer {
    let (mut writer, reader) = wit_stream::new();
    let (response, sent) = Response::new(Fields::new(), Some(reader), no_trailers());
    spawn_local(async move {
        let mut left = chunks;
        while left > 0 && write(&mut writer, 65_536).await {
            left -= 1;
        }
        drop(writer);
        eprintln!("{} sent: {}", if left == 0 { "through" } else { "left alone" }, sent.await.is_ok());
    });
    Ok(response)
}

async fn write(writer: &mut StreamWriter<u8>, bytes: usize) -> bool {
    writer.write_all(vec![b'x'; bytes]).await.is_empty()
}

/// Goes on when it has answered.
fn after(ms: u64) -> Answer {
    spawn_local(async move {
        monotonic_clock::wait_for(ms * 1_000_000).await;
        eprintln!("after");
    });
    Ok(empty(Fields::new()))
}

async fn clock() -> Answer {
    let start = monotonic_clock::now();
    monotonic_clock::wait_until(start + 2_000_000).await;
    let waited = monotonic_clock::now() - start >= 2_000_000;
    text(&format!("{waited} {}", system_clock::now().seconds > 1_700_000_000))
}

/// A request to what the header `x-target` says, `http` and an authority and a path.
fn outgoing(target: &str, headers: Fields, body: Option<StreamReader<u8>>, trailers: FutureReader<TrailersResult>, options: Option<RequestOptions>) -> (Request, FutureReader<Result<(), ErrorCode>>) {
    let (authority, path) = target.split_once('/').unwrap_or((target, ""));
    let (request, sent) = Request::new(headers, body, trailers, options);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(&format!("/{path}"))).unwrap();
    (request, sent)
}

/// Hands the request on, and the response back.
async fn fetch(request: Request) -> Answer {
    let headers = request.get_headers();
    let target = headers.get("x-target").pop().unwrap_or_default();
    let method = request.get_method();
    let (body, trailers) = Request::consume_body(request, handled());
    let (leaving, _) = outgoing(&String::from_utf8(target).unwrap(), headers.clone(), Some(body), trailers, None);
    leaving.set_method(&method).unwrap();
    client::send(leaving).await
}

async fn fetch_text(query: Query<'_>, options: Option<RequestOptions>) -> Answer {
    let (leaving, _) = outgoing(query.get("target"), Fields::new(), None, no_trailers(), options);
    match client::send(leaving).await {
        Err(error) => text(&format!("{error:?}")),
        Ok(response) => {
            let status = response.get_status_code();
            let (body, trailers) = Response::consume_body(response, handled());
            let body = body.collect().await;
            let trailers = trailers.await.map(|trailers| trailers.map(|fields| fields.copy_all()));
            text(&format!("{status} {} {trailers:?}", String::from_utf8_lossy(&body)))
        }
    }
}

/// Gives a request up that is under way.
async fn fetch_drop(query: Query<'_>) -> Answer {
    let (leaving, _) = outgoing(query.get("target"), Fields::new(), None, no_trailers(), None);
    let sending = Box::pin(client::send(leaving));
    let waiting = Box::pin(monotonic_clock::wait_for(query.number("ms") * 1_000_000));
    let gave_up = matches!(futures::future::select(sending, waiting).await, futures::future::Either::Right(_));
    text(&format!("{gave_up}"))
}

/// Sends a body of its own with trailers; tells what it hears of the transmission.
async fn upload(query: Query<'_>) -> Answer {
    let (mut writer, reader) = wit_stream::new();
    let (trailers_writer, trailers_reader) = wit_future::new(|| Ok(None));
    let chunks = query.number("chunks");
    let fail = query.get("fail") == "yes";
    spawn_local(async move {
        for _ in 0..chunks {
            if !write(&mut writer, 65_536).await {
                break;
            }
        }
        drop(writer);
        let result = if fail { Err(ErrorCode::InternalError(None)) } else { Ok(Some(fields(&[("x-sum", "1")]))) };
        let _ = trailers_writer.write(result).await;
    });
    let (leaving, sent) = outgoing(query.get("target"), fields(&[("trailer", "x-sum")]), Some(reader), trailers_reader, None);
    leaving.set_method(&Method::Post).unwrap();
    let answer = client::send(leaving).await;
    let status = answer.map(|response| {
        let status = response.get_status_code();
        drop(response);
        status
    });
    text(&format!("{status:?} {:?}", sent.await))
}

/// A request that is never sent; and a response that the guest consumes itself.
async fn unsent() -> Answer {
    let (request, sent) = Request::new(Fields::new(), None, no_trailers(), None);
    drop(request);
    let (mut writer, reader) = wit_stream::new();
    spawn_local(async move {
        writer.write_all(b"own".to_vec()).await;
    });
    let (response, transmitted) = Response::new(Fields::new(), Some(reader), no_trailers());
    let (verdict, verdict_reader) = wit_future::new(|| Ok(()));
    // Its trailers may not be read by the one that wrote them: no component may read structures of its own.
    let (body, _) = Response::consume_body(response, verdict_reader);
    let body = body.collect().await;
    let _ = verdict.write(Err(ErrorCode::LoopDetected)).await;
    text(&format!("{} {} {:?}", sent.await.is_err(), String::from_utf8_lossy(&body), transmitted.await))
}
