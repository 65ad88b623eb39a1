// SPDX-License-Identifier: Apache-2.0
// The flags and the service of both programs. grpc-js lies in $NODE_PATH, where ./build put it.
'use strict';
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const protos = path.join(__dirname, '..', '..', '..', '..', 'proto');
const definition = loader.loadSync('grpc/testing/test.proto', { includeDirs: [protos], keepCase: true, defaults: true });

exports.grpc = grpc;
exports.testing = grpc.loadPackageDefinition(definition).grpc.testing;

// "--name=value", "--name value", "--name".
exports.flags = function flags(argv) {
  const found = {};
  for (let i = 0; i < argv.length; i++) {
    const [name, value] = argv[i].replace(/^--/, '').split(/=(.*)/s);
    if (value !== undefined) {
      found[name] = value;
    } else if (i + 1 < argv.length && !argv[i + 1].startsWith('--')) {
      found[name] = argv[++i];
    } else {
      found[name] = 'true';
    }
  }
  return found;
};

exports.read = function read(file) {
  return file === undefined ? null : fs.readFileSync(file);
};
