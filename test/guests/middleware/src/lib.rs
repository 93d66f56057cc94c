//! A `wasi:http` 0.3 middleware: hands requests on to the next of its chain.
wit_bindgen::generate!({ world: "middleware", path: "wit", generate_all });

use exports::wasi::http::handler::Guest;
use wasi::http::handler;
use wasi::http::types::{ErrorCode, Request, Response};

struct Middleware;
export!(Middleware);

impl Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let Some(rest) = path.strip_prefix("/marked") else {
            // As it is, and its response as it is.
            return handler::handle(request).await;
        };
        request.set_path_with_query(Some(rest)).map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
        let inner = handler::handle(request).await?;
        let status = inner.get_status_code();
        let headers = inner.get_headers().clone();
        headers.append("x-via", b"middleware").map_err(|_| ErrorCode::InternalError(None))?;
        let (body, trailers) = Response::consume_body(inner, wit_future::new(|| Ok(())).1);
        let (outer, _) = Response::new(headers, Some(body), trailers);
        outer.set_status_code(status).unwrap();
        Ok(outer)
    }
}
