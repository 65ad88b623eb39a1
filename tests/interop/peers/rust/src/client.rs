// SPDX-License-Identifier: Apache-2.0
//! The cases of gRPC's interoperability tests on tonic.
//!
//!     interop-client --server_host H --server_port P --test_case NAME [--use_tls --ca_file F
//!                    [--server_host_override NAME] [--cert_file F --key_file F]]
//!
//! Exit status 0: the case holds; a broken one panics. tonic cannot compress some messages of a stream
//! only, nor does it show whether a response was compressed.
mod flags;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::StreamExt;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use testing::test_service_client::TestServiceClient;
use testing::unimplemented_service_client::UnimplementedServiceClient;
use testing::{
    BoolValue, EchoStatus, Empty, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingOutputCallRequest,
};

pub mod testing {
    tonic::include_proto!("grpc.testing");
}

const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
const SPECIAL: &str = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
const REQUESTS: [usize; 4] = [27182, 8, 1828, 45904];
const RESPONSES: [usize; 4] = [31415, 9, 2653, 58979];

type Client = TestServiceClient<Channel>;

fn payload(size: usize) -> Option<Payload> {
    Some(Payload { r#type: 0, body: vec![0; size] })
}

fn large() -> SimpleRequest {
    SimpleRequest { response_size: 314159, payload: payload(271828), ..Default::default() }
}

fn output(size: usize, sent: usize) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![ResponseParameters { size: size as i32, ..Default::default() }],
        payload: payload(sent),
        ..Default::default()
    }
}

fn soon<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(20));
    request
}

fn check_large(response: SimpleResponse) {
    assert!(response.payload.unwrap().body == vec![0; 314159], "a response of 314159 zeros");
}

fn refused<T>(result: Result<T, Status>, code: Code) -> Status {
    match result {
        Ok(_) => panic!("{code:?}, not success"),
        Err(status) => {
            assert_eq!(status.code(), code, "{status:?}");
            status
        }
    }
}

async fn connect(flags: &flags::Flags) -> Channel {
    let tls = flags.get("use_tls").is_some();
    let scheme = if tls { "https" } else { "http" };
    let host = flags.get("server_host").unwrap_or("127.0.0.1");
    let mut endpoint = Endpoint::from_shared(format!("{scheme}://{host}:{}", flags.get("server_port").unwrap())).unwrap();
    if tls {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(flags.file("ca_file").unwrap()));
        if let Some(name) = flags.get("server_host_override") {
            config = config.domain_name(name);
        }
        if let (Some(cert), Some(key)) = (flags.file("cert_file"), flags.file("key_file")) {
            config = config.identity(Identity::from_pem(cert, key));
        }
        endpoint = endpoint.tls_config(config).unwrap();
    }
    endpoint.connect().await.unwrap()
}

/// A duplex call whose requests are sent through what is returned.
async fn duplex(
    client: &mut Client,
    timeout: Duration,
) -> (tokio::sync::mpsc::Sender<StreamingOutputCallRequest>, Result<tonic::Response<tonic::Streaming<testing::StreamingOutputCallResponse>>, Status>) {
    let (to, from) = tokio::sync::mpsc::channel(4);
    to.send(output(RESPONSES[0], REQUESTS[0])).await.unwrap();
    let mut request = Request::new(ReceiverStream::new(from));
    request.set_timeout(timeout);
    let response = client.full_duplex_call(request).await;
    (to, response)
}

async fn client_compressed_unary(client: &mut Client) {
    let probe = SimpleRequest { expect_compressed: Some(BoolValue { value: true }), ..large() };
    refused(client.unary_call(soon(probe.clone())).await, Code::InvalidArgument);
    let mut zip = client.clone().send_compressed(CompressionEncoding::Gzip);
    check_large(zip.unary_call(soon(probe)).await.unwrap().into_inner());
    let plain = SimpleRequest { expect_compressed: Some(BoolValue { value: false }), ..large() };
    check_large(client.unary_call(soon(plain)).await.unwrap().into_inner());
}

async fn server_compressed_unary(client: &mut Client) {
    for value in [true, false] {
        let request = SimpleRequest { response_compressed: Some(BoolValue { value }), ..large() };
        check_large(client.unary_call(soon(request)).await.unwrap().into_inner());
    }
}

async fn client_streaming(client: &mut Client) {
    let requests = REQUESTS.map(|n| StreamingInputCallRequest { payload: payload(n), ..Default::default() });
    let response = client.streaming_input_call(soon(tokio_stream::iter(requests))).await.unwrap();
    assert_eq!(response.into_inner().aggregated_payload_size, 74922);
}

async fn server_streaming(client: &mut Client, parameters: Vec<ResponseParameters>) {
    let sizes: Vec<usize> = parameters.iter().map(|p| p.size as usize).collect();
    let request = StreamingOutputCallRequest { response_parameters: parameters, ..Default::default() };
    let mut stream = client.streaming_output_call(soon(request)).await.unwrap().into_inner();
    let mut got = Vec::new();
    while let Some(response) = stream.message().await.unwrap() {
        got.push(response.payload.unwrap().body.len());
    }
    assert_eq!(got, sizes);
}

async fn ping_pong(client: &mut Client) {
    let (to, response) = duplex(client, Duration::from_secs(20)).await;
    let mut stream = response.unwrap().into_inner();
    for i in 0..4 {
        if i > 0 {
            to.send(output(RESPONSES[i], REQUESTS[i])).await.unwrap();
        }
        let response = stream.message().await.unwrap().unwrap();
        assert_eq!(response.payload.unwrap().body.len(), RESPONSES[i]);
    }
    drop(to);
    assert!(stream.message().await.unwrap().is_none());
}

async fn empty_stream(client: &mut Client) {
    let mut stream = client.full_duplex_call(soon(tokio_stream::empty())).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_none());
}

/// A call that is dropped is cancelled; the server must bear it.
async fn cancel_after_begin(client: &mut Client) {
    let call = client.streaming_input_call(soon(tokio_stream::pending()));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err(), "an answer before the end");
    assert!(client.empty_call(soon(Empty {})).await.is_ok());
}

async fn cancel_after_first_response(client: &mut Client) {
    let (to, response) = duplex(client, Duration::from_secs(20)).await;
    let mut stream = response.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().payload.unwrap().body.len(), RESPONSES[0]);
    drop(stream);
    drop(to);
    assert!(client.empty_call(soon(Empty {})).await.is_ok());
}

/// tonic's own timer says CANCELLED, and covers the response's head only.
async fn timeout_on_sleeping_server(client: &mut Client) {
    let (_to, response) = duplex(client, Duration::from_millis(1)).await;
    let status = match response {
        Err(status) => status,
        Ok(response) => {
            let mut stream = response.into_inner();
            loop {
                match stream.message().await {
                    Ok(Some(_)) => continue,
                    Ok(None) => panic!("DEADLINE_EXCEEDED, not success"),
                    Err(status) => break status,
                }
            }
        }
    };
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
}

fn with_echo<T>(mut request: Request<T>) -> Request<T> {
    request.metadata_mut().insert(INITIAL, "test_initial_metadata_value".parse().unwrap());
    request.metadata_mut().insert_bin(TRAILING, MetadataValue::from_bytes(&[0xab, 0xab, 0xab]));
    request
}

fn check_echo(initial: &MetadataMap, trailing: &MetadataMap) {
    assert_eq!(initial.get(INITIAL).unwrap(), "test_initial_metadata_value");
    assert_eq!(trailing.get_bin(TRAILING).unwrap().to_bytes().unwrap().as_ref(), &[0xab, 0xab, 0xab]);
}

/// tonic gives the trailers of a unary call together with its headers.
async fn custom_metadata(client: &mut Client) {
    let response = client.unary_call(with_echo(soon(large()))).await.unwrap();
    check_echo(response.metadata(), response.metadata());
    check_large(response.into_inner());
    let requests = tokio_stream::once(output(314159, 271828));
    let response = client.full_duplex_call(with_echo(soon(requests))).await.unwrap();
    let initial = response.metadata().clone();
    let mut stream = response.into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().payload.unwrap().body.len(), 314159);
    assert!(stream.message().await.unwrap().is_none());
    check_echo(&initial, &stream.trailers().await.unwrap().unwrap());
}

async fn check_status(client: &mut Client, message: &str, both: bool) {
    let wanted = Some(EchoStatus { code: 2, message: message.to_string() });
    let request = SimpleRequest { response_status: wanted.clone(), ..Default::default() };
    let status = refused(client.unary_call(soon(request)).await, Code::Unknown);
    assert_eq!(status.message(), message);
    if both {
        let request = StreamingOutputCallRequest { response_status: wanted, ..Default::default() };
        let result = match client.full_duplex_call(soon(tokio_stream::once(request))).await {
            Ok(response) => response.into_inner().next().await.expect("an end").map(|_| ()),
            Err(status) => Err(status),
        };
        assert_eq!(refused(result, Code::Unknown).message(), message);
    }
}

async fn pick_first_unary(client: &mut Client) {
    let mut ids = HashSet::new();
    for _ in 0..100 {
        let request = SimpleRequest { fill_server_id: true, ..Default::default() };
        ids.insert(client.unary_call(soon(request)).await.unwrap().into_inner().server_id);
    }
    assert!(ids.len() == 1 && !ids.contains(""), "one server, not {ids:?}");
}

async fn soak(flags: &flags::Flags, client: Option<&Client>) {
    for _ in 0..10 {
        let start = Instant::now();
        let mut client = match client {
            Some(client) => client.clone(),
            None => TestServiceClient::new(connect(flags).await),
        };
        check_large(client.unary_call(soon(large())).await.unwrap().into_inner());
        assert!(start.elapsed() < Duration::from_secs(5), "each within 5 s");
    }
}

fn sized(size: i32) -> ResponseParameters {
    ResponseParameters { size, ..Default::default() }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let flags = flags::Flags::read();
    let channel = connect(&flags).await;
    let client = &mut TestServiceClient::new(channel.clone()).accept_compressed(CompressionEncoding::Gzip);
    let compressed = |size, value| ResponseParameters { compressed: Some(BoolValue { value }), ..sized(size) };
    match flags.get("test_case").unwrap_or("") {
        "empty_unary" => assert!(client.empty_call(soon(Empty {})).await.is_ok()),
        "large_unary" => check_large(client.unary_call(soon(large())).await.unwrap().into_inner()),
        "client_compressed_unary" => client_compressed_unary(client).await,
        "server_compressed_unary" => server_compressed_unary(client).await,
        "client_streaming" => client_streaming(client).await,
        "server_streaming" => server_streaming(client, RESPONSES.map(|n| sized(n as i32)).to_vec()).await,
        "server_compressed_streaming" => {
            server_streaming(client, vec![compressed(31415, true), compressed(92653, false)]).await
        }
        "ping_pong" => ping_pong(client).await,
        "empty_stream" => empty_stream(client).await,
        "cancel_after_begin" => cancel_after_begin(client).await,
        "cancel_after_first_response" => cancel_after_first_response(client).await,
        "timeout_on_sleeping_server" => timeout_on_sleeping_server(client).await,
        "custom_metadata" => custom_metadata(client).await,
        "status_code_and_message" => check_status(client, "test status message", true).await,
        "special_status_message" => check_status(client, SPECIAL, false).await,
        "unimplemented_method" => {
            refused(client.unimplemented_call(soon(Empty {})).await, Code::Unimplemented);
        }
        "unimplemented_service" => {
            let mut client = UnimplementedServiceClient::new(channel);
            refused(client.unimplemented_call(soon(Empty {})).await, Code::Unimplemented);
        }
        "pick_first_unary" => pick_first_unary(client).await,
        "rpc_soak" => soak(&flags, Some(client)).await,
        "channel_soak" => soak(&flags, None).await,
        other => panic!("no such case: {other}"),
    }
}
