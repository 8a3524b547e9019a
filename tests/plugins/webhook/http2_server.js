// An HTTPS server that speaks HTTP/2. node http2_server.js CERT KEY: prints "port N", and "VERSION STREAMS" for each
// request, the latter being the most that one connection had open at a time.
const fs = require('fs');
const server = require('http2').createSecureServer(
    {cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3]), allowHTTP1: true});
let open = 0;
let most = 0;
server.on('request', (request, response) => {
  most = Math.max(most, ++open);
  request.resume();
  request.on('end', () => setTimeout(() => {
    console.log(`request ${request.httpVersion} ${most}`);
    --open;
    response.end('ok');
  }, 200));
});
server.listen(0, '127.0.0.1', () => console.log('port', server.address().port));
