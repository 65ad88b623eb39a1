// SPDX-License-Identifier: Apache-2.0
// grpc.testing.TestService on grpc-js, as the interoperability tests ask for it.
//
//     server.js --port 0 [--use_tls --cert_file F --key_file F [--ca_file F: certificates are required]]
//
// Prints "port N" when it listens. grpc-js does not tell a handler whether a message came compressed, nor
// let it choose for one response: the runner leaves out the cases that need it.
'use strict';
const { grpc, testing, flags, read } = require('./common');

const INITIAL = 'x-grpc-test-echo-initial';
const TRAILING = 'x-grpc-test-echo-trailing-bin';

// Sends the initial echo; gives the trailers.
function echo(call) {
  const initial = call.metadata.get(INITIAL);
  const trailers = new grpc.Metadata();
  if (initial.length > 0) {
    const headers = new grpc.Metadata();
    headers.set(INITIAL, initial[0]);
    call.sendMetadata(headers);
  }
  call.metadata.get(TRAILING).forEach((value) => trailers.set(TRAILING, value));
  return trailers;
}

function payload(size) {
  return { type: 'COMPRESSABLE', body: Buffer.alloc(size) };
}

function wanted(request) {
  const status = request.response_status;
  return status && status.code !== 0 ? { code: status.code, details: status.message } : null;
}

const sleep = (us) => new Promise((done) => setTimeout(done, us / 1000));

// The responses that one request asks for, after those of the requests before it.
async function answer(call, request) {
  for (const parameters of request.response_parameters) {
    if (parameters.interval_us > 0) {
      await sleep(parameters.interval_us);
    }
    if (call.cancelled) {
      return;
    }
    call.write({ payload: payload(parameters.size) });
  }
}

function duplex(call) {
  const trailers = echo(call);
  let queue = Promise.resolve();
  let failed = false;
  call.on('data', (request) => {
    queue = queue.then(async () => {
      const status = wanted(request);
      if (failed) {
        return;
      }
      if (status !== null) {
        failed = true;
        call.emit('error', { ...status, metadata: trailers });
        return;
      }
      await answer(call, request);
    });
  });
  call.on('end', () => queue.then(() => failed || call.end(trailers)));
}

const service = {
  EmptyCall(call, done) {
    done(null, {}, echo(call));
  },
  UnaryCall(call, done) {
    const trailers = echo(call);
    const status = wanted(call.request);
    if (status !== null) {
      done({ ...status, metadata: trailers });
      return;
    }
    done(null, {
      payload: payload(call.request.response_size),
      server_id: call.request.fill_server_id ? 'grpc-js' : '',
    }, trailers);
  },
  async StreamingOutputCall(call) {
    const status = wanted(call.request);
    if (status !== null) {
      call.emit('error', status);
      return;
    }
    await answer(call, call.request);
    call.end();
  },
  StreamingInputCall(call, done) {
    let sum = 0;
    call.on('data', (request) => { sum += request.payload ? request.payload.body.length : 0; });
    call.on('end', () => done(null, { aggregated_payload_size: sum }));
  },
  FullDuplexCall: duplex,
  HalfDuplexCall(call) {
    const requests = [];
    call.on('data', (request) => requests.push(request));
    call.on('end', async () => {
      for (const request of requests) {
        await answer(call, request);
      }
      call.end();
    });
  },
};

const options = flags(process.argv.slice(2));
const server = new grpc.Server();
server.addService(testing.TestService.service, service);
let credentials = grpc.ServerCredentials.createInsecure();
if (options.use_tls) {
  const pair = { private_key: read(options.key_file), cert_chain: read(options.cert_file) };
  credentials = grpc.ServerCredentials.createSsl(read(options.ca_file), [pair], options.ca_file !== undefined);
}
server.bindAsync(`127.0.0.1:${options.port || 0}`, credentials, (error, port) => {
  if (error) {
    throw error;
  }
  console.log(`port ${port}`);
});
