// SPDX-License-Identifier: Apache-2.0

//! The echo of this folder on tonic.
//!
//!     bench_tonic --port N --cert FILE --key FILE [--ca FILE]
//!
//! It prints "port N" when it listens. With --ca the client must have a certificate.
use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

mod bench {
    tonic::include_proto!("bench");
}
use bench::echo_server::{Echo, EchoServer};
use bench::EchoMessage;

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn call(&self, r: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(r.into_inner()))
    }

    type StreamStream = Pin<Box<dyn Stream<Item = Result<EchoMessage, Status>> + Send>>;

    async fn stream(
        &self,
        r: Request<Streaming<EchoMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        Ok(Response::new(Box::pin(r.into_inner().map(|m| m))))
    }
}

fn argument(name: &str) -> Option<String> {
    let mut all = std::env::args();
    all.find(|a| a == name)?;
    all.next()
}

// As many threads as it may use cores.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = |name: &str| std::fs::read(argument(name).expect(name));
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(file("--cert")?, file("--key")?));
    if argument("--ca").is_some() {
        tls = tls.client_ca_root(Certificate::from_pem(file("--ca")?));
    }
    let port = argument("--port").unwrap_or("0".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("port {}", listener.local_addr()?.port());
    let service = EchoServer::new(Service).max_decoding_message_size(8 << 20);
    Server::builder()
        .tls_config(tls)?
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await?;
    Ok(())
}
