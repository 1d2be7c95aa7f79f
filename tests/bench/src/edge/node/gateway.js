// A gateway as they are usually built: rate limit, token check, circuit breaker, proxy.
'use strict';

const express = require('express');
const { rateLimit } = require('express-rate-limit');
const { createProxyMiddleware } = require('http-proxy-middleware');
const jwt = require('jsonwebtoken');
const CircuitBreaker = require('opossum');

const [, , servicePort, secret] = process.argv;

const app = express();
app.disable('x-powered-by');
app.use(rateLimit({ windowMs: 60_000, limit: 1_000_000_000, standardHeaders: 'draft-8', legacyHeaders: false }));
app.use((request, response, next) => {
  const header = request.get('authorization') || '';
  const token = header.startsWith('Bearer ') ? header.slice(7) : '';
  try {
    const claims = jwt.verify(token, secret, { algorithms: ['HS256'] });
    request.headers['x-user-id'] = claims.sub;
    request.headers['x-user-role'] = claims.role;
    next();
  } catch {
    response.status(401).json({ error: 'unauthorized' });
  }
});

const http = require('node:http');
const proxy = createProxyMiddleware({
  target: `http://127.0.0.1:${servicePort}`,
  agent: new http.Agent({ keepAlive: true, maxSockets: 64 }),
});
const forward = (request, response) =>
  new Promise((resolve, reject) => {
    response.once('finish', () => (response.statusCode < 500 ? resolve() : reject(new Error('upstream'))));
    response.once('close', resolve);
    proxy(request, response, reject);
  });
const breaker = new CircuitBreaker(forward, { timeout: 30_000, errorThresholdPercentage: 50, resetTimeout: 10_000 });
app.use((request, response) => {
  breaker.fire(request, response).catch(() => {
    if (!response.headersSent) response.status(503).json({ error: 'unavailable' });
  });
});

const server = app.listen(0, '127.0.0.1', () => {
  const token = jwt.sign({ sub: '0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f', role: 'owner' }, secret, { expiresIn: '1h' });
  console.log(`${server.address().port} ${token}`);
});
