// A gRPC client that needs no proxy: real grpc-js. For each line of standard
// input it calls the target, and prints the answer.
'use strict';
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();

const same = (bytes) => bytes;
const greet = {
  path: '/test.Greeter/Greet',
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};
const Client = grpc.makeGenericClientConstructor({ greet }, 'Greeter');
const client = new Client(process.argv[2], grpc.credentials.createInsecure());
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  client.greet(Buffer.from(line), { deadline: Date.now() + 10_000 }, (error, answer) => {
    console.log(error ? `${grpc.status[error.code]}: ${error.details}` : answer.toString());
  });
});
lines.on('close', () => process.exit(0));
