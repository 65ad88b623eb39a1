// SPDX-License-Identifier: Apache-2.0
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = "../../../../proto";
    println!("cargo:rerun-if-changed={protos}");
    tonic_prost_build::configure().compile_protos(&["../../../../proto/grpc/testing/test.proto"], &[protos])?;
    Ok(())
}
