// SPDX-License-Identifier: Apache-2.0

// The echo of this folder on grpc-js.
//
//     node server.js --port N --cert FILE --key FILE [--ca FILE]
//
// It prints "port N" when it listens. With --ca the client must have a certificate.
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const given = (name) => process.argv[process.argv.indexOf(name) + 1];
const ca = process.argv.includes('--ca') ? fs.readFileSync(given('--ca')) : null;
const proto = grpc.loadPackageDefinition(loader.loadSync(process.env.ECHO_PROTO));
const server = new grpc.Server({ 'grpc.max_receive_message_length': 8 << 20 });

server.addService(proto.bench.Echo.service, {
  Call: (call, done) => done(null, { payload: call.request.payload }),
  Stream: (call) => {
    call.on('data', (message) => {
      if (!call.write(message)) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    });
    call.on('end', () => call.end());
  },
});
const pair = { cert_chain: fs.readFileSync(given('--cert')), private_key: fs.readFileSync(given('--key')) };
server.bindAsync(`127.0.0.1:${given('--port')}`, grpc.ServerCredentials.createSsl(ca, [pair], ca !== null),
  (error, port) => {
    if (error) throw error;
    console.log(`port ${port}`);
  });
