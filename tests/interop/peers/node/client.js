// SPDX-License-Identifier: Apache-2.0
// The cases of gRPC's interoperability tests on grpc-js.
//
//     client.js --server_host H --server_port P --test_case NAME [--use_tls --ca_file F
//               [--server_host_override NAME] [--cert_file F --key_file F]]
//
// Exit status 0: the case holds. grpc-js compresses whole calls only, and does not show whether a response
// was compressed.
'use strict';
const assert = require('assert');
const { grpc, testing, flags, read } = require('./common');

const INITIAL = ['x-grpc-test-echo-initial', 'test_initial_metadata_value'];
const TRAILING = ['x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab, 0xab])];
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \u{1f608}\t\n';
const REQUESTS = [27182, 8, 1828, 45904];
const RESPONSES = [31415, 9, 2653, 58979];
const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };

const options = flags(process.argv.slice(2));

function connect(Service = testing.TestService, more = {}) {
  let credentials = grpc.credentials.createInsecure();
  const settings = { ...more };
  if (options.use_tls) {
    credentials = grpc.credentials.createSsl(read(options.ca_file), read(options.key_file), read(options.cert_file));
    if (options.server_host_override) {
      settings['grpc.ssl_target_name_override'] = options.server_host_override;
    }
  }
  return new Service(`${options.server_host || '127.0.0.1'}:${options.server_port}`, credentials, settings);
}

const soon = () => ({ deadline: Date.now() + 20000 });
const payload = (size) => ({ type: 'COMPRESSABLE', body: Buffer.alloc(size) });
const large = (more = {}) => ({ response_size: 314159, payload: payload(271828), ...more });
const output = (size, sent) => ({ response_parameters: [{ size }], payload: payload(sent) });

// A unary call: resolves to {error, response, initial, trailing}.
function unary(client, method, request, metadata = new grpc.Metadata()) {
  return new Promise((done) => {
    const result = {};
    const call = client[method](request, metadata, soon(), (error, response) => {
      Object.assign(result, { error, response });
    });
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('status', (status) => done({ ...result, trailing: status.metadata }));
  });
}

// The rest of a stream of responses: resolves to {error, sizes, initial, trailing}.
function rest(call) {
  return new Promise((done) => {
    const result = { error: null, sizes: [] };
    call.on('metadata', (initial) => { result.initial = initial; });
    call.on('data', (response) => result.sizes.push(response.payload.body.length));
    call.on('error', (error) => { result.error = error; });
    call.on('status', (status) => setImmediate(() => done({ ...result, trailing: status.metadata })));
  });
}

function one(call) {
  return new Promise((done, failed) => {
    call.once('data', done);
    call.once('error', failed);
  });
}

function streamingInput(client, requests) {
  return new Promise((done, failed) => {
    const call = client.StreamingInputCall(new grpc.Metadata(), soon(), (e, r) => (e ? failed(e) : done(r)));
    requests.forEach((request) => call.write(request));
    call.end();
  });
}

async function callLarge(client, more, metadata) {
  const result = await unary(client, 'UnaryCall', large(more), metadata);
  assert.ifError(result.error);
  assert.ok(result.response.payload.body.equals(Buffer.alloc(314159)), 'a response of 314159 zeros');
  return result;
}

function checkEcho(result) {
  assert.deepStrictEqual(result.initial.get(INITIAL[0]), [INITIAL[1]]);
  assert.deepStrictEqual(result.trailing.get(TRAILING[0]), [TRAILING[1]]);
}

async function checkStatus(client, message, both) {
  const response_status = { code: 2, message };
  const { error } = await unary(client, 'UnaryCall', { response_status });
  assert.deepStrictEqual([error.code, error.details], [2, message]);
  if (both) {
    const call = client.FullDuplexCall(soon());
    call.write({ response_status });
    call.end();
    const ended = await rest(call);
    assert.deepStrictEqual([ended.error.code, ended.error.details], [2, message]);
  }
}

async function soak(iterate) {
  for (let i = 0; i < 10; i++) {
    const start = process.hrtime.bigint();
    await iterate();
    assert.ok(process.hrtime.bigint() - start < 5000000000n, 'each within 5 s');
  }
}

const cases = {
  async empty_unary(client) {
    const { error, response } = await unary(client, 'EmptyCall', {});
    assert.ifError(error);
    assert.deepStrictEqual(response, {});
  },
  async large_unary(client) {
    await callLarge(client);
  },
  async client_compressed_unary(client) {
    const zip = connect(testing.TestService, GZIP);
    const probe = await unary(client, 'UnaryCall', large({ expect_compressed: { value: true } }));
    assert.strictEqual(probe.error && probe.error.code, grpc.status.INVALID_ARGUMENT);
    await callLarge(zip, { expect_compressed: { value: true } });
    await callLarge(client, { expect_compressed: { value: false } });
    zip.close();
  },
  async server_compressed_unary(client) {
    await callLarge(client, { response_compressed: { value: true } });
    await callLarge(client, { response_compressed: { value: false } });
  },
  async client_streaming(client) {
    const response = await streamingInput(client, REQUESTS.map((n) => ({ payload: payload(n) })));
    assert.strictEqual(response.aggregated_payload_size, 74922);
  },
  async server_streaming(client) {
    const response_parameters = RESPONSES.map((size) => ({ size }));
    const { error, sizes } = await rest(client.StreamingOutputCall({ response_parameters }, soon()));
    assert.ifError(error);
    assert.deepStrictEqual(sizes, RESPONSES);
  },
  async server_compressed_streaming(client) {
    const response_parameters = [
      { size: 31415, compressed: { value: true } }, { size: 92653, compressed: { value: false } }];
    const { error, sizes } = await rest(client.StreamingOutputCall({ response_parameters }, soon()));
    assert.ifError(error);
    assert.deepStrictEqual(sizes, [31415, 92653]);
  },
  async ping_pong(client) {
    const call = client.FullDuplexCall(soon());
    for (let i = 0; i < 4; i++) {
      call.write(output(RESPONSES[i], REQUESTS[i]));
      const response = await one(call);
      assert.strictEqual(response.payload.body.length, RESPONSES[i]);
    }
    call.end();
    const { error, sizes } = await rest(call);
    assert.ifError(error);
    assert.deepStrictEqual(sizes, []);
  },
  async empty_stream(client) {
    const call = client.FullDuplexCall(soon());
    call.end();
    const { error, sizes } = await rest(call);
    assert.ifError(error);
    assert.deepStrictEqual(sizes, []);
  },
  async cancel_after_begin(client) {
    const error = await new Promise((done) => {
      const call = client.StreamingInputCall(soon(), (e) => done(e));
      call.cancel();
    });
    assert.strictEqual(error && error.code, grpc.status.CANCELLED);
  },
  async cancel_after_first_response(client) {
    const call = client.FullDuplexCall(soon());
    call.write(output(31415, 27182));
    assert.strictEqual((await one(call)).payload.body.length, 31415);
    call.cancel();
    const { error } = await rest(call);
    assert.strictEqual(error && error.code, grpc.status.CANCELLED);
  },
  async timeout_on_sleeping_server(client) {
    const call = client.FullDuplexCall({ deadline: Date.now() + 1 });
    call.write(output(31415, 27182));
    const { error } = await rest(call);
    assert.strictEqual(error && error.code, grpc.status.DEADLINE_EXCEEDED);
  },
  async custom_metadata(client) {
    const metadata = new grpc.Metadata();
    metadata.set(...INITIAL);
    metadata.set(...TRAILING);
    checkEcho(await callLarge(client, {}, metadata));
    const call = client.FullDuplexCall(metadata, soon());
    call.write(output(314159, 271828));
    call.end();
    const ended = await rest(call);
    assert.ifError(ended.error);
    assert.deepStrictEqual(ended.sizes, [314159]);
    checkEcho(ended);
  },
  async status_code_and_message(client) {
    await checkStatus(client, 'test status message', true);
  },
  async special_status_message(client) {
    await checkStatus(client, SPECIAL, false);
  },
  async unimplemented_method(client) {
    const { error } = await unary(client, 'UnimplementedCall', {});
    assert.strictEqual(error && error.code, grpc.status.UNIMPLEMENTED);
  },
  async unimplemented_service() {
    const client = connect(testing.UnimplementedService);
    const { error } = await unary(client, 'UnimplementedCall', {});
    assert.strictEqual(error && error.code, grpc.status.UNIMPLEMENTED);
    client.close();
  },
  async pick_first_unary(client) {
    const ids = new Set();
    for (let i = 0; i < 100; i++) {
      const { error, response } = await unary(client, 'UnaryCall', { fill_server_id: true });
      assert.ifError(error);
      ids.add(response.server_id);
    }
    assert.ok(ids.size === 1 && !ids.has(''), `one server, not ${[...ids]}`);
  },
  async rpc_soak(client) {
    await soak(() => callLarge(client));
  },
  async channel_soak() {
    await soak(async () => {
      const client = connect(testing.TestService, { 'grpc.use_local_subchannel_pool': 1 });
      await callLarge(client);
      client.close();
    });
  },
};

async function main() {
  const run = cases[options.test_case];
  if (run === undefined) {
    console.error(`no such case: ${options.test_case}`);
    process.exit(2);
  }
  const client = connect();
  await run(client);
  client.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
