// SPDX-License-Identifier: GPL-2.0
// An HTTP server: /echo gives the body back, /bytes?N gives N bytes.
// Usage: node server.js ADDRESS PORT
'use strict';
const http = require('http');
const block = Buffer.alloc(65536, 'oxtcp!');

const server = http.createServer((request, response) => {
	if (request.url === '/echo') {
		request.pipe(response);
		return;
	}
	let left = Number(request.url.split('?')[1]);
	const more = () => {
		while (left > 0) {
			const piece = block.subarray(0, Math.min(left, block.length));
			left -= piece.length;
			if (!response.write(piece)) {
				response.once('drain', more);
				return;
			}
		}
		response.end();
	};
	more();
});
server.listen(Number(process.argv[3]), process.argv[2]);
process.on('SIGTERM', () => {
	server.close();
	server.closeAllConnections();
});
