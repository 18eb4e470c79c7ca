// SPDX-License-Identifier: GPL-2.0
// Usage: node client.js ADDRESS PORT requests|closing|bytes COUNT
//   requests  COUNT requests over 8 connections that are kept
//   closing   COUNT requests, each with a connection of its own
//   echo      COUNT bytes there and back in one request
//   bytes     COUNT bytes from the server
'use strict';
const http = require('http');
const crypto = require('crypto');
const [address, port, what] = process.argv.slice(2);
const count = Number(process.argv[5]);
const keepAlive = what === 'requests';
const agent = new http.Agent({ keepAlive, maxSockets: 8 });

function request(path, body) {
	return new Promise((resolve, reject) => {
		const method = body === undefined ? 'GET' : 'POST';
		const sent = http.request({ host: address, port, path, method, agent }, (answer) => {
			const digest = crypto.createHash('sha256');
			let length = 0;
			answer.on('data', (piece) => {
				length += piece.length;
				digest.update(piece);
			});
			answer.on('end', () => resolve({ length, digest: digest.digest('hex') }));
			answer.on('error', reject);
		});
		sent.on('error', reject);
		sent.end(body);
	});
}

async function main() {
	if (what === 'bytes') {
		const { length } = await request(`/bytes?${count}`);
		if (length !== count)
			throw new Error(`${length} bytes of ${count}`);
	} else {
		const each = what === 'echo' ? 1 : count;
		const body = what === 'echo' ? crypto.randomBytes(count) : Buffer.from('a small body');
		const wanted = crypto.createHash('sha256').update(body).digest('hex');
		const answers = await Promise.all(Array.from({ length: each }, () => request('/echo', body)));
		for (const { length, digest } of answers) {
			if (digest !== wanted)
				throw new Error(`${length} bytes back of ${body.length}, with another SHA-256`);
		}
	}
	agent.destroy();
	console.log('done');
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
