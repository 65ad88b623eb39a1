// SPDX-License-Identifier: Apache-2.0
//! grpc.testing.TestService on tonic, as the interoperability tests ask for it.
//!
//!     interop-server --port 0 [--use_tls --cert_file F --key_file F [--ca_file F: certificates are required]]
//!
//! Prints "port N" when it listens. tonic does not tell a handler whether a message came compressed, nor
//! compress some messages of a stream only: the runner leaves out the cases that need it.
mod flags;

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};

use testing::test_service_server::{TestService, TestServiceServer};
use testing::{
    EchoStatus, Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
};

pub mod testing {
    tonic::include_proto!("grpc.testing");
}

const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";

type Answers = Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

fn payload(size: i32) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; size.max(0) as usize] })
}

fn wanted(status: &Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(s) if s.code != 0 => Err(Status::new(Code::from_i32(s.code), s.message.clone())),
        _ => Ok(()),
    }
}

/// tonic has no way for a unary handler to send trailers with success: both come with a stream of one. For
/// unary calls the trailing value is not echoed, and the runner leaves out custom_metadata.
fn echo_initial(from: &MetadataMap, to: &mut MetadataMap) {
    if let Some(value) = from.get(INITIAL) {
        to.insert(INITIAL, value.clone());
    }
}

fn trailing(from: &MetadataMap) -> Option<MetadataValue<tonic::metadata::Binary>> {
    from.get_bin(TRAILING).cloned()
}

async fn answer(
    request: &StreamingOutputCallRequest,
    to: &tokio::sync::mpsc::Sender<Result<StreamingOutputCallResponse, Status>>,
) -> bool {
    for parameters in &request.response_parameters {
        if parameters.interval_us > 0 {
            tokio::time::sleep(Duration::from_micros(parameters.interval_us as u64)).await;
        }
        let response = StreamingOutputCallResponse { payload: payload(parameters.size) };
        if to.send(Ok(response)).await.is_err() {
            return false;
        }
    }
    true
}

struct Service;

#[tonic::async_trait]
impl TestService for Service {
    type StreamingOutputCallStream = Answers;
    type FullDuplexCallStream = Answers;
    type HalfDuplexCallStream = Answers;

    async fn empty_call(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        let mut response = Response::new(Empty {});
        echo_initial(request.metadata(), response.metadata_mut());
        Ok(response)
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        wanted(&request.response_status)?;
        let mut response = Response::new(SimpleResponse {
            payload: payload(request.response_size),
            server_id: if request.fill_server_id { "tonic".to_string() } else { String::new() },
            ..Default::default()
        });
        echo_initial(&metadata, response.metadata_mut());
        if !request.response_compressed.is_some_and(|c| c.value) {
            response.disable_compression();
        }
        Ok(response)
    }

    async fn cacheable_unary_call(&self, _: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let request = request.into_inner();
        wanted(&request.response_status)?;
        let (to, from) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move { answer(&request, &to).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(from))))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let mut requests = request.into_inner();
        let mut sum = 0;
        while let Some(request) = requests.message().await? {
            sum += request.payload.map_or(0, |p| p.body.len()) as i32;
        }
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size: sum }))
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (metadata, _, mut requests) = request.into_parts();
        let (to, from) = tokio::sync::mpsc::channel(4);
        let echo = trailing(&metadata);
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                if let Err(status) = wanted(&request.response_status) {
                    let _ = to.send(Err(status)).await;
                    return;
                }
                if !answer(&request, &to).await {
                    return;
                }
            }
            if let Some(value) = echo {
                let mut end = Status::new(Code::Ok, "");
                end.metadata_mut().insert_bin(TRAILING, value);
                let _ = to.send(Err(end)).await;
            }
        });
        let mut response: Response<Answers> = Response::new(Box::pin(ReceiverStream::new(from)));
        echo_initial(&metadata, response.metadata_mut());
        Ok(response)
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let mut requests = request.into_inner();
        let mut all = Vec::new();
        while let Some(request) = requests.message().await? {
            all.push(request);
        }
        let (to, from) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            for request in &all {
                answer(request, &to).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(from))))
    }

    async fn unimplemented_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = flags::Flags::read();
    let port = flags.get("port").unwrap_or("0");
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("port {}", listener.local_addr()?.port());
    let mut server = Server::builder();
    if flags.get("use_tls").is_some() {
        let identity = Identity::from_pem(flags.file("cert_file").unwrap(), flags.file("key_file").unwrap());
        let mut tls = ServerTlsConfig::new().identity(identity);
        if let Some(roots) = flags.file("ca_file") {
            tls = tls.client_ca_root(Certificate::from_pem(roots));
        }
        server = server.tls_config(tls)?;
    }
    let service = TestServiceServer::new(Service)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    server.add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await?;
    Ok(())
}
