//! The least that a `wasi:http` component can do well: the same twelve bytes for every request.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Hello;
wasip2::http::proxy::export!(Hello);

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(_request: IncomingRequest, out: ResponseOutparam) {
        let headers = [("content-type".to_string(), b"text/plain".to_vec())];
        let response = OutgoingResponse::new(Fields::from_list(&headers).unwrap());
        let body = response.body().unwrap();
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(b"Hello, WASI!").unwrap();
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}
