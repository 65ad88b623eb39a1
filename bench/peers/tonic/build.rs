// SPDX-License-Identifier: Apache-2.0
fn main() {
    let proto = std::env::var("ECHO_PROTO").expect("ECHO_PROTO names echo.proto");
    let folder = std::path::Path::new(&proto).parent().unwrap().to_owned();
    tonic_prost_build::configure()
        .build_client(false)
        .compile_protos(&[proto.into()], &[folder])
        .unwrap();
}
