// The service behind the gateway: one route that says who asks, from the header that the gateway sets.
'use strict';

const express = require('express');

const app = express();
app.disable('x-powered-by');
app.get('/api/v1/me', (request, response) => {
  response.json({
    id: request.get('x-user-id'),
    email: 'owner@bench.example',
    name: 'Owner',
    role: request.get('x-user-role'),
    tier: 'premium',
    created_at: '2026-01-01T00:00:00.000Z',
  });
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(String(server.address().port));
});
